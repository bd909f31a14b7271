import { createErrors } from '@fleetupdate/sdk'

/** Every error the agent reports. The reference page is generated from this table; the status is 500 where HTTP plays no part. */
export const catalogue = {
  FLT_AGENT_CONFIG_MISSING: {
    status: 500,
    message:
      'There is no configuration at {file}. Create it with agent.id and agent.server_url, or set AGENT_CONFIG.',
  },
  FLT_AGENT_CONFIG_INVALID: { status: 500, message: '{file}: {key} {problem}. {fix}' },
  FLT_AGENT_CONFIG_YAML: { status: 500, message: '{file} is not valid YAML: {problem}. Correct that line.' },
  FLT_AGENT_IDENTITY_OTHER: {
    status: 500,
    message:
      'The configuration says agent.id "{configured}", but this machine is enrolled as "{enrolled}". Set agent.id back, or enrol anew with: fleetupdate-agent enroll',
  },
  FLT_AGENT_IDENTITY_DAMAGED: {
    status: 500,
    message:
      'The identity in {file} cannot be read: {problem}. Restore it from a backup, or reset the agent on the server and enrol anew with: fleetupdate-agent enroll',
  },
  FLT_AGENT_STATE_DIR: {
    status: 500,
    message:
      'agent.state_dir {path} cannot be used: {problem}. Give its owner write access, or set another folder.',
  },
  FLT_AGENT_RUNNING: {
    status: 500,
    message:
      'Another agent (process {pid}) already uses {path}. Stop it first, or set another agent.state_dir.',
  },
  FLT_AGENT_USAGE: {
    status: 500,
    message:
      'Unknown command "{command}". Use: fleetupdate-agent [run | enroll | doctor [--json] | trust … | version]',
  },
  FLT_AGENT_TRUST: { status: 500, message: 'Trust was not changed: {problem}.\n{usage}' },
  FLT_ENROL_SECRET_MISSING: {
    status: 500,
    message:
      'This machine is not enrolled yet. Set agent.psk to the SERVER_PSK of the server, or to an enrolment token.',
  },
  FLT_ENROL_REFUSED: { status: 403, message: 'The server refused the enrolment of "{id}": {reason}' },
  FLT_ENROL_WAITING: {
    status: 409,
    message: 'Waiting for approval: an admin must let "{id}" in at {url}, under "Add an agent".',
  },
  FLT_ENROL_IMPOSTOR: {
    status: 500,
    message: 'The server at {url} does not know the enrolment secret. Check agent.server_url and agent.psk.',
  },
  FLT_LINK_FAILED: { status: 502, message: 'The server at {url} cannot be reached over {way}: {problem}.' },
  FLT_LINK_REFUSED: { status: 502, message: 'The server at {url} refused the connection: {reason}' },
  FLT_LINK_UNTRUSTED: {
    status: 502,
    message: 'What answers at {url} did not prove to be the server this agent enrolled with: {problem}.',
  },
  FLT_EXECUTOR_INVALID: { status: 500, message: 'The executor in {folder} cannot be used: {problem}.' },
  FLT_DELIVERY_FAILED: {
    status: 502,
    message: 'The executor "{id}" cannot be fetched from the server: {problem}. It is tried again.',
  },
  FLT_DELIVERY_KEEPER: {
    status: 500,
    message: 'The bundle keeper of this machine does not answer: {problem}',
  },
  FLT_EXECUTOR_MODIFIED: {
    status: 500,
    message:
      'The module of the executor "{id}" is not the one that was signed any more. Remove the stored bundle; it is fetched again.',
  },
  FLT_EXECUTOR_ISOLATED: {
    status: 500,
    message: 'The executor "{id}" failed in its own process: {problem}.',
  },
  FLT_EXECUTOR_DUPLICATE: {
    status: 500,
    message: 'The executor "{id}" in {folder} is ignored: {first} has the same id. Remove one of them.',
  },
  FLT_FACT_INVALID: { status: 500, message: 'The fact does not fit its contract: {problem}.' },
  FLT_FACT_TIMEOUT: { status: 500, message: 'The fact was not collected within {seconds} s.' },
  FLT_FACT_TOO_LARGE: { status: 500, message: 'The fact has {bytes} bytes; at most {limit} are sent.' },
  FLT_ATTEMPT_TAKEN: {
    status: 409,
    message: 'The attempt in {dir} was already claimed; it is not started again.',
  },
  FLT_ATTEMPT_INVALID: { status: 500, message: 'The attempt in {dir} cannot be read: {problem}.' },
  FLT_ATTEMPT_DAMAGED: {
    status: 500,
    message:
      '{folder}: {files} cannot be read and was set aside with the ending ".damaged". Check the disk of this machine; the result of the attempt says so too.',
  },
  FLT_AGENT_FILE_DAMAGED: {
    status: 500,
    message: '{file} cannot be read: {problem}. It was set aside as {aside}; {effect}',
  },
  FLT_ATTEMPT_STOPPED: { status: 500, message: 'The command was stopped: {reason}.' },
  FLT_ATTEMPT_RESULT_TOO_LARGE: {
    status: 500,
    message: 'The result has {bytes} bytes; at most {limit} are sent. Write the rest to the output.',
  },
  FLT_RUN_UNDECLARED: {
    status: 500,
    message:
      'The executor "{plugin}" may not start {program}: its manifest does not declare it under "programs" or "privileges".',
  },
  FLT_RUN_MISSING: { status: 500, message: 'The program {program} is not installed on this machine.' },
  FLT_RUN_FAILED: { status: 500, message: '{program} ended with {ending}{detail}' },
  FLT_RUN_TIMEOUT: { status: 500, message: '{program} did not end within {seconds} s and was stopped.' },
  FLT_RUN_ABORTED: { status: 500, message: '{program} was stopped: {reason}.' },
  FLT_RUN_OUTPUT: { status: 500, message: '{program} wrote more than {limit} bytes, which are not read.' },
  FLT_RUN_INPUT: {
    status: 500,
    message: '{program} runs as root: it gets no standard input. Pass files or arguments.',
  },
  FLT_PRIVILEGE_MISSING: {
    status: 500,
    message: '{program} must run as root, and this agent cannot. {missing}',
  },
  FLT_PRIVILEGE_POLICY: {
    status: 403,
    message: 'policy: {rule}',
  },
  FLT_PRIVILEGE_REFUSED: { status: 403, message: 'The root helper refused to run {program}: {reason}.' },
  FLT_PRIVILEGE_LOST: {
    status: 500,
    message:
      'The root helper ended before {program} did, so that its exit code is not known. See: journalctl -u "orchestrator-helper@*"',
  },
  FLT_FILE_TOO_LARGE: { status: 500, message: '{path} has {bytes} bytes; at most {limit} are read.' },
} as const

/** Builds an error of the agent's catalogue. */
export const agentError = createErrors(catalogue)

/** One line for people about anything that was thrown. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The code of a system or fleet error, '' where it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** What stood in the way to a server, for the end of a sentence. */
export function linkProblem(error: unknown): string {
  const code = errorCode(error)
  if (code !== 'CERT_HAS_EXPIRED' && code !== 'CERT_NOT_YET_VALID') return code || describeError(error)
  const now = new Date().toISOString().slice(0, 16)
  return `${code}, by the clock of this machine, which says ${now}Z. Set the clock, or renew the certificate`
}
