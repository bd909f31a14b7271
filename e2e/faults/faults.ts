import { agentPowerCut } from './cases/agent-power-cut.ts'
import { aptLock } from './cases/apt-lock.ts'
import { channelModel } from './cases/channel-model.ts'
import { wrongClocks } from './cases/clocks.ts'
import { clonedAgent } from './cases/cloned-agent.ts'
import { damagedFiles } from './cases/damaged-files.ts'
import { databaseLock, failingFsync, fullDisk, powerCut } from './cases/disk.ts'
import { killAgent } from './cases/kill-agent.ts'
import { killApt } from './cases/kill-apt.ts'
import { killServer } from './cases/kill-server.ts'
import { lostAnswer } from './cases/lost-answer.ts'
import { manyAgents } from './cases/many-agents.ts'
import { nastyPackages } from './cases/nasty-packages.ts'
import { blockedWebSocket, frozenWebSocket, network } from './cases/network.ts'
import { olderVersionWorks } from './cases/older-version.ts'
import { wildOutput } from './cases/output.ts'
import { pausedAgent } from './cases/paused-agent.ts'
import { restoredServer } from './cases/restored-server.ts'
import { slowFsync } from './cases/slow-fsync.ts'
import { slowViewers } from './cases/slow-viewers.ts'
import { upgradeRestarts } from './cases/upgrade-restarts.ts'
import type { Fault } from './fault.ts'

/** Every fault of the lab, in the order in which they run. */
export const faults: readonly Fault[] = [
  killServer,
  killAgent,
  channelModel,
  network,
  blockedWebSocket,
  frozenWebSocket,
  lostAnswer,
  pausedAgent,
  restoredServer,
  olderVersionWorks,
  damagedFiles,
  databaseLock,
  fullDisk,
  slowFsync,
  failingFsync,
  powerCut,
  agentPowerCut,
  wrongClocks,
  clonedAgent,
  wildOutput,
  slowViewers,
  manyAgents,
  aptLock,
  killApt,
  nastyPackages,
  upgradeRestarts,
]
