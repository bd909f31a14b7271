import { titleOf } from '../kit/schema.ts'
import { usePlugins } from '../stores/plugins.ts'

/** Names a command for people: its title, or what can be made of `<plugin>.<command>`. */
export function useCommandName(): (name: string) => string {
  const plugins = usePlugins()
  return (name) => {
    const known = plugins.command(name)
    if (known?.title) return known.title
    const [plugin = name, command] = name.split('.')
    return command === undefined ? name : `${known?.plugin.title ?? plugin}: ${titleOf(command, undefined)}`
  }
}
