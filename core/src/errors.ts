import { createErrors } from '@fleetupdate/sdk'

/** Every error the server answers with. The reference page is generated from this table. */
export const catalogue = {
  FLT_HTTP_NOT_FOUND: {
    status: 404,
    message: 'There is nothing at {method} {path}. See /api/docs for all routes.',
  },
  FLT_HTTP_BODY_INVALID: {
    status: 400,
    message: 'The request body is not valid JSON: {problem}. Send a JSON object.',
  },
  FLT_HTTP_BODY_TOO_LARGE: {
    status: 413,
    message: 'The request body is larger than {limit} bytes. Send less.',
  },
  FLT_HTTP_MEDIA_TYPE: { status: 415, message: 'Send the body with content-type: application/json.' },
  FLT_HTTP_MEDIA_TYPE_BUNDLE: {
    status: 415,
    message: 'Send the bundle itself as the body, with content-type: application/vnd.fleetupdate.bundle.',
  },
  FLT_HTTP_MALFORMED: { status: 400, message: 'This is no HTTP request ({problem}).' },
  FLT_HTTP_HEADERS_TOO_LARGE: {
    status: 431,
    message: 'The headers are too large. Send fewer or shorter ones.',
  },
  FLT_HTTP_SLOW: { status: 408, message: 'The request did not arrive in time. Send it again.' },
  FLT_HTTP_INVALID: { status: 400, message: 'The request does not fit: {problem}.' },
  FLT_HTTP_CROSS_SITE: {
    status: 403,
    message: 'This request comes from another site. Use the dashboard, or a bearer token.',
  },
  FLT_HTTP_HOST: {
    status: 421,
    message: 'This server does not answer for the host "{host}". Add it to ALLOWED_HOSTS or PUBLIC_URL.',
  },
  FLT_INTERNAL: {
    status: 500,
    message: 'Something went wrong inside the server. Look for the id {id} in its log.',
  },
  FLT_AUTH_REQUIRED: {
    status: 401,
    message: 'Log in first: POST /api/auth/login, then send the cookie or the bearer token.',
  },
  FLT_AUTH_INVALID: { status: 401, message: 'The user name or the password is wrong.' },
  FLT_AUTH_DISABLED: { status: 403, message: 'This account is disabled. Ask an admin to enable it.' },
  FLT_AUTH_SLOW_DOWN: { status: 429, message: 'Too many attempts. Try again in {seconds} seconds.' },
  FLT_AUTH_FORBIDDEN: { status: 403, message: 'This needs the role {role}; you are {actual}. Ask an admin.' },
  FLT_AUTH_CODE_REQUIRED: {
    status: 401,
    message: 'The code of the second factor is missing. Give it as "code", or a recovery code.',
  },
  FLT_AUTH_CODE_INVALID: {
    status: 401,
    message: 'The code is wrong or was used already. Wait for the next one of your app.',
  },
  FLT_AUTH_CODE_ON: {
    status: 409,
    message: 'A second factor is on already. Remove it first: POST /api/auth/second-factor/remove.',
  },
  FLT_AUTH_SESSION_UNKNOWN: {
    status: 404,
    message: 'No open session of yours has the id "{id}". See GET /api/auth/sessions.',
  },
  FLT_USER_UNKNOWN: { status: 404, message: 'No person has the id "{id}". See GET /api/users.' },
  FLT_USER_EXISTS: { status: 409, message: 'There is a person named "{name}" already. Choose another name.' },
  FLT_USER_LAST_ADMIN: {
    status: 409,
    message: 'This is the last admin. Make somebody else an admin first.',
  },
  FLT_TOKEN_UNKNOWN: { status: 404, message: 'No open API token of yours has the id "{id}".' },
  FLT_TOKEN_NEEDS_LOGIN: {
    status: 403,
    message: 'An API token cannot do this. Log in with name and password.',
  },
  FLT_AUTH_SIGNATURE: { status: 401, message: 'The request is not signed by a known agent: {problem}.' },
  FLT_AUTH_CLOCK: {
    status: 401,
    message: "The signature is {seconds} s away from the server's clock. Set the clock of the VM.",
  },
  FLT_AUTH_REPLAY: {
    status: 401,
    message: 'This signed request was already used. Sign each request with a new nonce.',
  },
  FLT_AUTH_BOOT: {
    status: 409,
    message: 'The server was restarted. Poll again with the boot value in the details.',
  },
  FLT_SESSION_UNKNOWN: { status: 409, message: 'This session has ended. Send hello again.' },
  FLT_AGENT_UNKNOWN: { status: 404, message: 'No agent "{id}" is enrolled. See GET /api/agents.' },
  FLT_AGENT_REVOKED: {
    status: 403,
    message: 'This agent was removed. Reset it on the server, then enrol it again.',
  },
  FLT_INSTALL_NO_RELEASE: {
    status: 404,
    message:
      'This server has no release of the agent to hand out. Install the server from a release, or set AGENT_RELEASE_DIR.',
  },
  FLT_INSTALL_RELEASE_DAMAGED: {
    status: 500,
    message:
      'The release of the agent in {folder} cannot be handed out: {problem}. Install this version of the server anew.',
  },
  FLT_INSTALL_FILE_UNKNOWN: {
    status: 404,
    message:
      'The release of the agent has no file {name}. The server was updated since: take a new line from the dashboard.',
  },
  FLT_INSTALL_ADDRESS: {
    status: 400,
    message: 'The Host header is no plain name and port. Set PUBLIC_URL to the address that machines use.',
  },
  FLT_AGENT_QUARANTINED: {
    status: 403,
    message:
      'This identity is in quarantine: {reason} Release it on the server: POST /api/agents/{id}/release.',
  },
  FLT_AGENT_BUSY: {
    status: 503,
    message: 'Many agents connect at this moment. Come again after the time in Retry-After.',
  },
  FLT_AGENT_NO_KEY: {
    status: 409,
    message: 'The agent "{id}" speaks another protocol and has no key. There is nothing to change.',
  },
  FLT_AGENT_NOT_QUARANTINED: {
    status: 409,
    message: 'The agent "{id}" is not in quarantine; there is nothing to release.',
  },
  FLT_ENROL_ID_TAKEN: {
    status: 409,
    message: 'The id "{id}" is already enrolled. Choose another, or reset it: POST /api/agents/{id}/reset.',
  },
  FLT_ENROL_REFUSED: {
    status: 403,
    message: 'The enrolment secret is not right. Check agent.psk against SERVER_PSK, or take a new token.',
  },
  FLT_ENROL_EXPIRED: { status: 410, message: 'This enrolment is no longer open. Start it again.' },
  FLT_ENROL_BUSY: { status: 429, message: 'Too many enrolments are open. Try again in a minute.' },
  FLT_ENROL_TOKEN_UNKNOWN: {
    status: 404,
    message: 'No open enrolment token has the id "{id}". See GET /api/enrolment/tokens.',
  },
  FLT_ENROL_TOKEN_STANDING: {
    status: 409,
    message: 'The server has no SERVER_PSK. Set it in its environment and start it again, or make a token.',
  },
  FLT_ENROL_WAITING: {
    status: 409,
    message: 'Waiting for approval: an admin must let "{id}" in. See GET /api/enrolment/requests.',
  },
  FLT_ENROL_DECLINED: {
    status: 403,
    message: 'An admin refused the enrolment of "{id}". Ask for a new token, then start the agent again.',
  },
  FLT_ENROL_REQUEST_UNKNOWN: {
    status: 404,
    message: 'No enrolment waits under the id "{id}". See GET /api/enrolment/requests.',
  },
  FLT_COMMAND_UNKNOWN: {
    status: 404,
    message: 'There is no command "{command}". See GET /api/plugins for all.',
  },
  FLT_COMMAND_NOT_FOUND: { status: 404, message: 'No command has the id "{id}".' },
  FLT_COMMAND_INPUT: { status: 400, message: 'The input of {command} does not fit: {problem}.' },
  FLT_COMMAND_FINISHED: {
    status: 409,
    message: 'The command has already ended ({state}); there is nothing to cancel.',
  },
  FLT_BATCH_NOT_FOUND: { status: 404, message: 'No batch has the id "{id}".' },
  FLT_BATCH_EMPTY: {
    status: 400,
    message: 'The targets match no agent. Name agents, or use another filter.',
  },
  FLT_IDEMPOTENCY_CONFLICT: {
    status: 409,
    message: 'This Idempotency-Key was used with another request. Take a new key.',
  },
  FLT_FILTER_UNKNOWN: { status: 400, message: 'There is no {kind} "{name}". Known: {known}.' },
  FLT_CURSOR_INVALID: {
    status: 400,
    message: 'The cursor is not one this server made. Start without a cursor.',
  },
  FLT_PLUGIN_UNKNOWN: { status: 404, message: 'No plugin "{id}" is installed. See GET /api/plugins.' },
  FLT_PLUGIN_UNAVAILABLE: { status: 503, message: 'The plugin "{id}" is not active: {reason}.' },
  FLT_PLUGIN_NEEDED: {
    status: 409,
    message: 'The plugin "{id}" is needed by: {others}. Disable or remove these first.',
  },
  FLT_PLUGIN_STARTING: {
    status: 503,
    message: 'The plugins are still being started. Try again in a moment.',
  },
  FLT_PLUGIN_BUILT_IN: {
    status: 409,
    message: 'The plugin "{id}" came with the server: it can be disabled, but not replaced or removed here.',
  },
  FLT_PLUGIN_OFFER_GONE: {
    status: 404,
    message:
      'No uploaded bundle of "{id}" with this hash is waiting. Upload it again: POST /api/admin/plugins.',
  },
  FLT_PLUGIN_NOT_STARTED: {
    status: 422,
    message: 'The plugin {id} {version} did not start: {reason}. Version {before} was put back.',
  },
  FLT_PLUGIN_REFUSED: { status: 409, message: 'The bundle {id} {version} is refused: {problem}.' },
  FLT_STORE_CONFLICT: {
    status: 409,
    message: 'Something else changed this at the same moment. Read it again, then decide.',
  },
  FLT_DELIVERY_GONE: {
    status: 404,
    message: 'This server does not deliver that bundle, or not any more. Ask for one of those it names.',
  },
  FLT_DELIVERY_BUSY: {
    status: 503,
    message: 'Many agents fetch bundles at this moment. Come again after the time in Retry-After.',
  },
  FLT_STORE_FULL: {
    status: 507,
    message: 'The disk of the server is full. Free some space in DATA_DIR; nothing was lost.',
  },
  FLT_STORE_BUSY: { status: 503, message: 'Another process holds the database. Try again in a moment.' },
  FLT_STORE_CORRUPT: {
    status: 500,
    message:
      'The database {file} is damaged: {problem}. Restore a backup (fleetupdate restore BACKUP --force); the file was left as it is.',
  },
  FLT_STORE_LOST: {
    status: 500,
    message:
      'The database {file} is missing or empty, but {evidence} shows that there was one. Put it back, or restore a backup (fleetupdate restore BACKUP --force); nothing new was begun.',
  },
  FLT_AUDIT_CHECKPOINTS: {
    status: 500,
    message:
      '{problem} Keep the file for whoever looks into it (fleetupdate audit verify); the server goes on and appends to it.',
  },
  FLT_STORE_MIGRATION: {
    status: 500,
    message: 'The database {file} does not fit this program: {problem}. The file was left as it is.',
  },
  FLT_STORE_FAILED: {
    status: 503,
    message:
      'The database failed and the server is stopping: {problem}. Check the disk, then start it again.',
  },
  FLT_STORE_CLOSED: { status: 503, message: 'The server is shutting down. Try again in a moment.' },
  FLT_BACKUP_MISSING: {
    status: 404,
    message: 'There is no backup at {path}. Name the file that "fleetupdate backup" wrote.',
  },
  FLT_BACKUP_EXISTS: { status: 409, message: '{path} exists already. Name a new file, or a folder.' },
  FLT_BACKUP_FAILED: {
    status: 500,
    message: 'The backup cannot be written to {path}: {problem}. Nothing was left there.',
  },
  FLT_BACKUP_DAMAGED: {
    status: 422,
    message: 'The backup {path} is damaged: {problem}. Use another one; nothing was changed.',
  },
  FLT_BACKUP_VERSION: {
    status: 422,
    message:
      'The backup {path} was made by FleetUpdate {version}, which writes a later format. Restore it with that version.',
  },
  FLT_BACKUP_KEY: {
    status: 422,
    message:
      'The backup {path} belongs to another master key than {file} holds. Put back the key it was made with (MASTER_KEY_FILE), then restore again.',
  },
  FLT_BACKUP_KEY_MISSING: {
    status: 422,
    message:
      'The master key {file} is missing, and the backup {path} needs the one it was made with. Put that key there (MASTER_KEY_FILE).',
  },
  FLT_BACKUP_TARGET: {
    status: 409,
    message:
      '{path} already holds the data of a server. Add --force to move that aside (it is kept), or give another --data-dir.',
  },
  FLT_BACKUP_RUNNING: {
    status: 409,
    message: 'A server is running on {path}. Stop it, restore, then start it again.',
  },
  FLT_BACKUP_INTERRUPTED: {
    status: 500,
    message:
      'A restore into {path} was interrupted, so that its data is not whole. Run it again: fleetupdate restore BACKUP',
  },
  FLT_MASTER_KEY_MISSING: {
    status: 500,
    message:
      'The master key {file} is missing, but {path} holds data that was sealed with one. Put the key back; no new one was made.',
  },
  FLT_SECRET_UNREADABLE: {
    status: 500,
    message:
      'The secret "{context}" cannot be decrypted. Put back the master key it was written with (MASTER_KEY_FILE).',
  },
  FLT_CONFIG_INVALID: { status: 500, message: '{key}: {problem}' },
  FLT_CLI_USAGE: { status: 400, message: '{problem}. Usage: {usage}' },
  FLT_CLI_AGENT_ID: {
    status: 400,
    message:
      '"{id}" cannot be the id of an agent. Use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first.',
  },
  FLT_CLI_NUMBER: {
    status: 400,
    message: '--{option} is a whole number from {least} to {most}, not "{given}".',
  },
  FLT_CLI_PASSWORD: {
    status: 400,
    message:
      'A password has at least 10 characters. Type it, give it as a line of standard input, or use --generate.',
  },
  FLT_CLI_NOT_CONFIRMED: { status: 400, message: 'Nothing was changed. Answer yes, or pass --yes.' },
  FLT_CLI_FILE: { status: 400, message: '{path} cannot be read or written: {problem}.' },
  FLT_CLI_TOKEN: {
    status: 401,
    message:
      'With --server, put an API token into the environment as FLEET_TOKEN. Make one in the dashboard, or with: fleetupdate token create',
  },
  FLT_CLI_SERVER: {
    status: 502,
    message: 'The server {server} did not answer as it should: {problem}.',
  },
  FLT_CLI_AUTHOR_TOOLS: {
    status: 404,
    message:
      'The tools for writing plugins come with the SDK. In the folder of your plugin, and not as root: npx fleetupdate {words}',
  },
  FLT_CLI_SHELL: { status: 400, message: 'There is a completion for {known} alone.' },
  FLT_CLI_NO_DATA: {
    status: 404,
    message: 'There is no database in {path}. Give the DATA_DIR of the server: --data-dir DIR.',
  },
  FLT_CLI_USER: {
    status: 403,
    message: '{path} belongs to another user ({uid}). Run this with sudo, which goes on as that user.',
  },
  FLT_HTTP_PLAIN: { status: 400, message: 'This port speaks https alone. Use https:// in the address.' },
  FLT_TLS_CERTIFICATE: {
    status: 500,
    message:
      '{file}: {problem}. Give a PEM certificate with its chain as TLS_CERT_FILE, and its key as TLS_KEY_FILE.',
  },
  FLT_CONSOLE_SOCKET: {
    status: 500,
    message:
      'The program fleetupdate cannot reach this server through {path}: {problem}. Use a shorter DATA_DIR that its user owns.',
  },
  FLT_DATA_DIR_TAKEN: {
    status: 409,
    message:
      'Another server, or a running fleetupdate, works with {path}. Stop it, or wait until it is done.',
  },
  FLT_START_PORT_TAKEN: {
    status: 500,
    message: 'Port {port} is taken. Set PORT to a free one, or stop what listens there.',
  },
  FLT_START_PORT_FORBIDDEN: {
    status: 500,
    message: 'Port {port} needs rights this user does not have. Set PORT to 1024 or higher.',
  },
  FLT_START_HOST: {
    status: 500,
    message: 'HOST {host} is no address of this machine. Use 0.0.0.0 for all of them.',
  },
  FLT_START_DATA_DIR: {
    status: 500,
    message: 'DATA_DIR {path} cannot be written: {problem}. Give its owner write access, or set another.',
  },
} as const

/** Builds an error of the server's catalogue. */
export const fleetError = createErrors(catalogue)
