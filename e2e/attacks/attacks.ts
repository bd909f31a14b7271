import type { Attack } from './attack.ts'
import { crossAgentAttack } from './cases/cross-agent.ts'
import { crossSiteAttack } from './cases/cross-site.ts'
import { enrolmentRaceAttack } from './cases/enrolment-race.ts'
import { loginAttack } from './cases/login.ts'
import { framesAttack, mutationsAttack } from './cases/mutations.ts'
import { replayAttack } from './cases/replay.ts'
import { rootHelperAttack } from './cases/root-helper.ts'
import { routesAttack } from './cases/routes.ts'
import { secretsAttack } from './cases/secrets.ts'

/** All attacks in their order: the login's leaves its address locked out, and the secrets are those of the attacks before. */
export const attacks: readonly Attack[] = [
  routesAttack,
  crossSiteAttack,
  replayAttack,
  mutationsAttack,
  framesAttack,
  crossAgentAttack,
  enrolmentRaceAttack,
  loginAttack,
  secretsAttack,
  rootHelperAttack,
]
