import type { Fleet, PanelHost } from '@fleetupdate/sdk/panel'
import { computed } from 'vue'
import type { Router } from 'vue-router'
import { useAgent } from '../agent/use-agent.ts'
import { problemText } from '../api/problem-text.ts'
import { asProblem, isRecord, request } from '../api/request.ts'
import { useTopic } from '../api/use-topic.ts'
import CommandState from '../commands/CommandState.vue'
import { submitBatch, submitCommand } from '../commands/submit.ts'
import { useCommand } from '../commands/use-command.ts'
import KitBadge from '../kit/KitBadge.vue'
import KitButton from '../kit/KitButton.vue'
import KitCallout from '../kit/KitCallout.vue'
import KitCard from '../kit/KitCard.vue'
import KitChart from '../kit/KitChart.vue'
import KitCode from '../kit/KitCode.vue'
import KitDialog from '../kit/KitDialog.vue'
import KitEmpty from '../kit/KitEmpty.vue'
import KitForm from '../kit/KitForm.vue'
import KitIcon from '../kit/KitIcon.vue'
import KitProgress from '../kit/KitProgress.vue'
import KitSparkline from '../kit/KitSparkline.vue'
import KitTable from '../kit/KitTable.vue'
import KitTerminal from '../kit/KitTerminal.vue'
import KitTime from '../kit/KitTime.vue'
import KitValue from '../kit/KitValue.vue'
import { tell } from '../shell/tell.ts'
import { useSession } from '../stores/session.ts'
import { formatAgo, formatNumber, i18n, type Parameters, textOf } from '../text.ts'
import { ownRoutes } from './own-routes.ts'

/** What panels get from this dashboard: the kit it is made of itself, the fleet, texts, and where the person is. */
export function createPanelHost(router: Router): PanelHost {
  return {
    kit: {
      badge: KitBadge,
      button: KitButton,
      callout: KitCallout,
      card: KitCard,
      chart: KitChart,
      code: KitCode,
      commandState: CommandState,
      dialog: KitDialog,
      empty: KitEmpty,
      form: KitForm,
      icon: KitIcon,
      progress: KitProgress,
      sparkline: KitSparkline,
      table: KitTable,
      terminal: KitTerminal,
      time: KitTime,
      value: KitValue,
    },
    fleet,
    routes: ownRoutes,
    may: (role) => useSession().may(role),
    agent: useAgent,
    command: useCommand,
    topic: useTopic,
    tell,
    text: (plugin) => ({
      t: (key, parameters) => textOf(`${plugin}.${key}`, key, parameters),
      plural: (key, count, parameters) =>
        textOf(`${plugin}.${key}`, key, { count: formatNumber(count), n: count, ...parameters }, count),
      number: formatNumber,
      problem(error) {
        const problem = asProblem(error)
        return textOf(`${plugin}.error.${problem.code}`, problemText(problem), scalarsOf(problem.details))
      },
      ago: formatAgo,
      locale: i18n.global.locale,
    }),
    place: () => ({
      query: computed(() =>
        Object.fromEntries(
          Object.entries(router.currentRoute.value.query).flatMap(([name, value]) =>
            typeof value === 'string' ? [[name, value]] : [],
          ),
        ),
      ),
      open: (path) => void router.push(path),
    }),
  }
}

/** What may stand in a message; the rest of the details is for programs. */
function scalarsOf(details: unknown): Parameters {
  if (!isRecord(details)) return {}
  return Object.fromEntries(
    Object.entries(details).flatMap(([name, value]) =>
      typeof value === 'string' || typeof value === 'number' ? [[name, value]] : [],
    ),
  )
}

const fleet: Fleet = {
  submit: (agentId, wanted) => submitCommand(agentId, wanted),
  submitMany: (targets, wanted) => submitBatch(targets, wanted),
  cancel: (id) => request('POST', `commands/${encodeURIComponent(id)}/cancel`, { body: {}, keepalive: true }),
  commands: (query) => request('GET', 'commands', { query }),
  agents: (query) => request('GET', 'agents', { query }),
  read: (path) => {
    const [name = '', search = ''] = path.replace(/^\/?(api\/)?/, '').split('?', 2)
    return request('GET', name, { query: Object.fromEntries(new URLSearchParams(search)) })
  },
}
