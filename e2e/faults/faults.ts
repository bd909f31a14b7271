import { channelModel } from "./cases/channel-model.ts"
import { killAgent } from './cases/kill-agent.ts'
import { killServer } from './cases/kill-server.ts'
import type { Fault } from './fault.ts'

/** Every fault of the lab, in the order in which they run. */
export const faults: readonly Fault[] = [killServer, killAgent, channelModel]
