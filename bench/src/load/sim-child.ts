import { type FleetPlace, LocalFleet } from './local-fleet.ts'

/** A process of simulated agents: does what its parent calls, and ends with it. */
const place: FleetPlace = JSON.parse(process.env.FLEET_PLACE ?? '{}')
const fleet = new LocalFleet(place)

interface Call {
  readonly call: number
  readonly method:
    | 'enrol'
    | 'connect'
    | 'poll'
    | 'pollsWentWell'
    | 'disconnect'
    | 'tell'
    | 'churn'
    | 'acceptOffers'
    | 'succeed'
  readonly args: readonly never[]
}

process.on('message', ({ call, method, args }: Call) => {
  const run = async (): Promise<unknown> => (fleet[method] as (...args: readonly never[]) => unknown)(...args)
  run().then(
    (value) => process.send?.({ call, value }),
    (error) => process.send?.({ call, error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => {
  fleet.close()
  process.exit(0)
})
process.send?.({ type: 'ready' })
