import { CommandView, type SubmitOptions } from '@fleetupdate/sdk'
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { AgentRegistry } from '../agents/registry.ts'
import { ListLimit, readLimit } from '../agents/routes.ts'
import { authorize } from '../auth/authorize.ts'
import { fleetError } from '../errors.ts'
import type { Route, RouteCall } from '../http/routes.ts'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { CancelRequest } from './cancel.ts'
import type { CommandQueue } from './queue.ts'
import type { Cause } from './submit.ts'

const Id = Type.String({ minLength: 1, maxLength: 64 })
const Time = Type.String({ format: 'date-time', maxLength: 40 })
const options = {
  timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 604_800 })),
  notBefore: Type.Optional(Time),
  expiresAt: Type.Optional(Time),
  precondition: Type.Optional(Type.String({ maxLength: 256 })),
}
const closed = { additionalProperties: false }
const name = Type.String({ maxLength: 130, description: '<plugin>.<command>' })
const SubmitBody = Type.Object({ command: name, input: Type.Optional(Type.Unknown()), ...options }, closed)
const BatchBody = Type.Object(
  {
    command: name,
    input: Type.Optional(Type.Unknown()),
    targets: Type.Union([
      Type.Object({ agents: Type.Array(Id, { maxItems: 50_000 }) }, closed),
      Type.Object({ filter: Type.String({ maxLength: 512 }) }, closed),
    ]),
    ...options,
  },
  closed,
)
const CancelBody = Type.Object({ force: Type.Optional(Type.Boolean()) }, closed)
const Batch = Type.Object({
  id: Type.String(),
  command: Type.String(),
  total: Type.Integer(),
  cause: Type.Object({ type: Type.String(), id: Type.String() }),
  createdAt: Type.String(),
  counts: Type.Record(Type.String(), Type.Integer()),
})

const readSubmit = reader(SubmitBody)
const readBatch = reader(BatchBody)
const readCancel = reader(CancelBody)

/** The HTTP face of the commands' room. Who may submit a command is written in its contract. */
export function commandRoutes(deps: {
  readonly queue: CommandQueue
  readonly registry: AgentRegistry
  readonly contracts: ContractRegistry
}): readonly Route[] {
  const { queue, registry, contracts } = deps

  const require = ({ subject }: RouteCall, command: string): void =>
    authorize(subject, 'submit', {
      plugin: command.split('.', 1)[0] ?? '',
      role: contracts.command(command).role,
    })
  const submitOne = (
    call: RouteCall,
    agentId: string,
    command: string,
    input: unknown,
    more: SubmitOptions,
  ) => {
    require(call, command)
    return queue.submit(causeOf(call), agentId, command, input, { ...more, ...keyOf(call) })
  }

  return [
    {
      method: 'POST',
      path: '/api/agents/:id/commands',
      rule: { role: 'viewer' },
      summary: 'Submit a command for one agent; needs the role of the command. Honours Idempotency-Key',
      body: SubmitBody,
      answer: CommandView,
      status: 202,
      handle(call) {
        const { command, input = {}, ...more } = readSubmit(call.body)
        return submitOne(call, call.params.id ?? '', command, input, more)
      },
    },
    {
      method: 'POST',
      path: '/api/agents/:id/:plugin/:command',
      rule: { role: 'viewer' },
      summary: 'Submit a command of a plugin; the body is its input. Honours Idempotency-Key',
      answer: CommandView,
      status: 202,
      handle(call) {
        const { id = '', plugin = '', command = '' } = call.params
        return submitOne(call, id, `${plugin}.${command}`, call.body ?? {}, {})
      },
    },
    {
      method: 'POST',
      path: '/api/commands',
      rule: { role: 'viewer' },
      summary: 'Submit a command for many agents; needs the role of the command. Honours Idempotency-Key',
      body: BatchBody,
      answer: Type.Object({
        batch: Type.Object({ id: Type.String(), total: Type.Integer() }),
        items: Type.Array(CommandView),
      }),
      status: 202,
      bodyLimit: 4 * 1024 * 1024,
      handle(call) {
        const { command, input = {}, targets, ...more } = readBatch(call.body)
        require(call, command)
        const agentIds = 'agents' in targets ? targets.agents : registry.match(targets.filter)
        const wanted = { agentIds, meaning: targets }
        return queue.submitBatch(causeOf(call), wanted, command, input, { ...more, ...keyOf(call) })
      },
    },
    {
      method: 'GET',
      path: '/api/commands',
      rule: { role: 'viewer' },
      summary: 'Commands, newest first',
      query: Type.Object({
        agent: Type.Optional(Id),
        state: Type.Optional(Type.String({ maxLength: 32 })),
        batch: Type.Optional(Id),
        command: Type.Optional(name),
        cursor: Type.Optional(Type.String({ maxLength: 512 })),
        limit: ListLimit,
      }),
      answer: Type.Object({
        items: Type.Array(CommandView),
        nextCursor: Type.Union([Type.String(), Type.Null()]),
      }),
      handle: ({ query }) => queue.list({ ...query, limit: readLimit(query.limit) }),
    },
    {
      method: 'GET',
      path: '/api/commands/:id',
      rule: { role: 'viewer' },
      summary: 'One command',
      answer: CommandView,
      async handle({ params: { id = '' } }) {
        const command = await queue.read(id)
        if (!command) throw fleetError('FLT_COMMAND_NOT_FOUND', { id: id.slice(0, 64) })
        return command
      },
    },
    {
      method: 'POST',
      path: '/api/commands/:id/cancel',
      rule: { role: 'operator' },
      summary: 'Cancel a command: at its next safe point, or at once with force',
      body: CancelBody,
      answer: CommandView,
      status: 202,
      handle: (call) => queue.cancel(call.params.id ?? '', cancelRequest(call)),
    },
    {
      method: 'GET',
      path: '/api/batches/:id',
      rule: { role: 'viewer' },
      summary: 'A batch: how many of its commands are in each state',
      answer: Batch,
      async handle({ params: { id = '' } }) {
        const batch = await queue.batch(id)
        if (!batch) throw fleetError('FLT_BATCH_NOT_FOUND', { id: id.slice(0, 64) })
        return batch
      },
    },
    {
      method: 'POST',
      path: '/api/batches/:id/cancel',
      rule: { role: 'operator' },
      summary: 'Cancel every command of a batch that has not ended',
      body: CancelBody,
      answer: Batch,
      status: 202,
      handle: (call) => queue.cancelBatch(call.params.id ?? '', cancelRequest(call)),
    },
  ]
}

function cancelRequest(call: RouteCall): CancelRequest {
  const { force = false } = readCancel(call.body ?? {})
  const manner = force ? 'force' : 'safe-point'
  return { by: call.subject.name, manner, address: call.request.ip }
}

function causeOf({ subject, request }: RouteCall): Cause {
  return { type: 'user', id: subject.name, address: request.ip }
}

function keyOf({ request }: RouteCall): { idempotencyKey?: string } {
  const key = request.headers['idempotency-key']
  if (key === undefined) return {}
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
    throw fleetError('FLT_HTTP_INVALID', { problem: 'Idempotency-Key is 1 to 255 visible ASCII characters' })
  return { idempotencyKey: key }
}

/** The body was checked against the same schema before the route ran; this gives it its type. */
function reader<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const compiled = Compile(schema)
  return (body) => {
    if (compiled.Check(body)) return body
    throw fleetError('FLT_HTTP_INVALID', { problem: 'the body does not fit' })
  }
}
