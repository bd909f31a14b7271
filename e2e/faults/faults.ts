import { aptLock, killApt, nastyPackages } from './cases/apt.ts'
import { channelModel } from './cases/channel-model.ts'
import { wrongClocks } from './cases/clocks.ts'
import { databaseLock, failingFsync, fullDisk, powerCut } from './cases/disk.ts'
import { killAgent } from './cases/kill-agent.ts'
import { killServer } from './cases/kill-server.ts'
import { manyAgents } from './cases/many-agents.ts'
import { blockedWebSocket, network } from './cases/network.ts'
import { wildOutput } from './cases/output.ts'
import { pausedAgent } from './cases/paused-agent.ts'
import { restoredServer } from './cases/restored-server.ts'
import type { Fault } from './fault.ts'

/** Every fault of the lab, in the order in which they run. */
export const faults: readonly Fault[] = [
  killServer,
  killAgent,
  channelModel,
  network,
  blockedWebSocket,
  pausedAgent,
  restoredServer,
  databaseLock,
  fullDisk,
  failingFsync,
  powerCut,
  wrongClocks,
  wildOutput,
  manyAgents,
  aptLock,
  killApt,
  nastyPackages,
]
