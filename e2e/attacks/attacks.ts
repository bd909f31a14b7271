import type { Attack } from './attack.ts'
import { browserCrossSiteAttack } from './cases/browser-cross-site.ts'
import { cloneAttack } from './cases/clone.ts'
import { crossAgentAttack } from './cases/cross-agent.ts'
import { crossSiteAttack } from './cases/cross-site.ts'
import { enrolmentRaceAttack } from './cases/enrolment-race.ts'
import { headersAttack } from './cases/headers.ts'
import { loginAttack } from './cases/login.ts'
import { maliciousBundlesAttack } from './cases/malicious-bundles.ts'
import { maliciousServerAttack } from './cases/malicious-server.ts'
import { framesAttack, mutationsAttack } from './cases/mutations.ts'
import { replayAttack } from './cases/replay.ts'
import { revocationAttack } from './cases/revocation.ts'
import { rootHelperAttack } from './cases/root-helper.ts'
import { routesAttack } from './cases/routes.ts'
import { secretsAttack } from './cases/secrets.ts'
import { xssAttack } from './cases/xss.ts'

/** All attacks in their order: the login's leaves its address locked out, and the secrets are those of the attacks before. */
export const attacks: readonly Attack[] = [
  routesAttack,
  headersAttack,
  crossSiteAttack,
  browserCrossSiteAttack,
  xssAttack,
  replayAttack,
  mutationsAttack,
  framesAttack,
  crossAgentAttack,
  enrolmentRaceAttack,
  revocationAttack,
  cloneAttack,
  maliciousServerAttack,
  maliciousBundlesAttack,
  loginAttack,
  secretsAttack,
  rootHelperAttack,
]
