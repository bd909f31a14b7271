import { titleOf } from '../kit/schema.ts'
import { usePlugins } from '../stores/plugins.ts'
import { textOf } from '../text.ts'

/**
 * Names a command for people: what its panel calls it in their language (message `command.<name>`), else its title, else what can be
 * made of `<plugin>.<command>`.
 */
export function useCommandName(): (name: string) => string {
  const plugins = usePlugins()
  return (name) => {
    const known = plugins.command(name)
    const [plugin = name, command = ''] = name.split('.')
    const title = known?.title ?? `${known?.plugin.title ?? plugin}: ${titleOf(command, undefined)}`
    return textOf(`${plugin}.command.${command}`, command === '' ? name : title)
  }
}

/** Names a plugin the same way: message `title`. */
export function pluginName({ id, title }: { readonly id: string; readonly title: string }): string {
  return textOf(`${id}.title`, title)
}

/** Says in one sentence what a plugin is for: message `description`, else that of its manifest. */
export function pluginDescription({
  id,
  description,
}: {
  readonly id: string
  readonly description?: string | undefined
}): string {
  return textOf(`${id}.description`, description ?? '')
}
