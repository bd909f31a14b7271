import { type Static, type TSchema, Type } from 'typebox'

const Folder = { minLength: 1, maxLength: 4096 }

/**
 * All settings of the server: environment variables, and for what is not secret also arguments (`--data-dir`). `must` follows the
 * name in an error, `otherwise` says what counts without it, `isSecret` keeps the value out of errors and arguments.
 */
export const ServerSettings = Type.Object({
  HOST: Type.String({
    default: '0.0.0.0',
    maxLength: 255,
    pattern: '^[^\\s/]+$',
    description: 'Address to listen on. Use `127.0.0.1` behind a reverse proxy on the same machine.',
    must: 'must be an IP address or a host name',
  }),
  PORT: Type.Integer({
    default: 8000,
    minimum: 0,
    maximum: 65535,
    description: 'TCP port of the API, the WebSockets and the dashboard.',
    must: 'must be a whole number from 0 (any free port) to 65535',
  }),
  PUBLIC_URL: Type.Array(Type.String({ pattern: '^https?://[^/?#@\\s]+(/[A-Za-z0-9._~-]+)*/?$' }), {
    default: [],
    description:
      'Where people and agents reach the server, for example `https://fleet.example.com`, or `https://example.com/fleet` behind a proxy. Several are separated by commas.',
    must: 'must be http:// or https:// addresses, at most with a path like /fleet, separated by commas',
    otherwise: 'what the Host header says',
  }),
  TLS_CERT_FILE: Type.Optional(
    Type.String({
      ...Folder,
      description:
        'PEM certificate with its chain: the server then speaks https itself. Read again when it changes, at once on SIGHUP; open connections go on.',
      must: 'must be a file, together with TLS_KEY_FILE',
      otherwise: 'none: plain HTTP, for a proxy or a trusted network',
    }),
  ),
  TLS_KEY_FILE: Type.Optional(
    Type.String({
      ...Folder,
      description: 'PEM private key of TLS_CERT_FILE, readable by the user of the server.',
      must: 'must be a file, together with TLS_CERT_FILE',
      otherwise: 'none',
    }),
  ),
  TRUSTED_PROXIES: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
    default: [],
    maxItems: 64,
    description:
      "Addresses or networks of the reverse proxies in front of the server, for example `127.0.0.1,10.0.0.0/24`. Their X-Forwarded-For tells the client's address for the back-off of logins and for the audit, and nothing else.",
    must: 'must be IP addresses or networks like 10.0.0.0/24, separated by commas',
    otherwise: 'none: everybody behind one proxy shares one address',
  }),
  ALLOWED_HOSTS: Type.Array(Type.String({ pattern: '^[^/\\s]+$' }), {
    default: [],
    description:
      'Host names the server answers for, beside those of PUBLIC_URL; separated by commas. `*` is all.',
    must: 'must be host names, separated by commas',
    otherwise: 'all',
  }),
  CORS_ORIGINS: Type.Array(Type.String({ pattern: '^https?://[^/?#@\\s]+$' }), {
    default: [],
    description:
      'Other origins whose pages may call the API, for example `https://portal.example.com`; separated by commas.',
    must: 'must be origins like https://portal.example.com, separated by commas',
    otherwise: 'none',
  }),
  DATA_DIR: Type.String({
    ...Folder,
    default: './data',
    description: 'Folder of everything the server keeps. Made where it is missing.',
    must: 'must be a folder',
  }),
  MASTER_KEY_FILE: Type.Optional(
    Type.String({
      ...Folder,
      description:
        'File of the key that encrypts secrets at rest; made where it is missing. Keep it apart from backups of the data.',
      must: 'must be a file',
      otherwise:
        '`/etc/orchestrator-server/master.key` for an installed server, else `master.key` in DATA_DIR',
    }),
  ),
  KEEP_DAYS: Type.Integer({
    default: 90,
    minimum: 8,
    maximum: 3650,
    description:
      'Days that commands are kept after they ended, with their batches, and enrolment tokens after they were used up. The audit is kept for ever; output has limits of its own.',
    must: 'must be a whole number of days from 8 to 3650',
  }),
  PLUGIN_DIRS: Type.Array(Type.String(Folder), {
    default: [],
    description:
      'More folders whose sub-folders are plugins, beside those that come with the server and `plugins` in DATA_DIR; separated by commas.',
    must: 'must be folders, separated by commas',
    otherwise: 'none',
  }),
  DASHBOARD_DIR: Type.Optional(
    Type.String({
      ...Folder,
      description: 'Folder of the built dashboard.',
      must: 'must be a folder',
      otherwise: 'the one that comes with the server',
    }),
  ),
  AGENT_RELEASE_DIR: Type.Optional(
    Type.String({
      ...Folder,
      description: 'Folder of the signed release of the agent that new machines are given.',
      must: 'must be a folder',
      otherwise: 'the one that comes with the server',
    }),
  ),
  SERVER_PSK: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      description:
        'A standing secret that agents prove to know when they enrol (`agent.psk`); 16 characters or more. It can be turned off in the dashboard.',
      must: 'must have 1 to 1024 characters',
      otherwise: 'none: agents enrol with invitations and tokens',
      isSecret: true,
    }),
  ),
  ENROLMENT_APPROVAL: Type.String({
    default: 'asked',
    pattern: '^(asked|always)$',
    description:
      'Whether new agents wait until an admin lets them in: `always`, or `asked` for those whose token says so. An invitation for one id needs no approval.',
    must: 'must be "asked" or "always"',
  }),
  KEY_ROTATION_DAYS: Type.Integer({
    default: 30,
    minimum: 0,
    maximum: 3650,
    description: 'After how many days an agent gets a new key by itself; 0: never.',
    must: 'must be a whole number from 0 (never) to 3650',
  }),
  UI_USER: Type.String({
    default: 'admin',
    maxLength: 128,
    pattern: '^\\S(.*\\S)?$',
    description: 'Name of the first admin.',
    must: 'must have 1 to 128 characters, without spaces at its ends',
  }),
  UI_PASSWORD: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      description:
        'Password of UI_USER. It applies when it changed since the last start; until then a password changed in the dashboard stays.',
      must: 'must have 1 to 1024 characters',
      otherwise: 'made at the first start and printed once',
      isSecret: true,
    }),
  ),
  UI_PASSWORD_HASH: Type.Optional(
    Type.String({
      pattern:
        '^(\\$argon2id\\$v=19\\$[^$]+\\$[^$]+\\$[^$]+|(bcrypt:)?\\$2[abxy]\\$\\d\\d\\$[./A-Za-z0-9]{53})$',
      description:
        'The same as a hash: argon2id, or bcrypt (also with the prefix `bcrypt:`). Counts before UI_PASSWORD.',
      must: 'must be an argon2id hash ($argon2id$v=19$…) or a bcrypt hash ($2b$…), in single quotes in a shell',
      otherwise: 'none',
      isSecret: true,
    }),
  ),
  JWT_SECRET: Type.Optional(
    Type.String({
      minLength: 16,
      maxLength: 1024,
      description: 'Secret that the tokens of people are signed with. Another value ends all sessions.',
      must: 'must have at least 16 characters; make one with: openssl rand -base64 32',
      otherwise: 'made at the first start and kept',
      isSecret: true,
    }),
  ),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^(sqlite:|sqlite\\+\\w+:|file:|[^:]+$)',
      description:
        'Of the first FleetUpdate. A SQLite path is accepted and its file left untouched; everything is kept in DATA_DIR.',
      must: 'must be a SQLite path; PostgreSQL is not supported yet: remove it, and everything is kept in DATA_DIR',
      otherwise: 'none',
      isSecret: true,
    }),
  ),
})
export type ServerSettings = Static<typeof ServerSettings>
export type SettingName = keyof ServerSettings & string

/** One setting as the table describes it. */
export interface Setting {
  readonly name: SettingName
  readonly kind: 'text' | 'whole number' | 'list'
  readonly default: unknown
  readonly description: string
  readonly must: string
  readonly otherwise: string | undefined
  readonly isSecret: boolean
  /** As an argument, without the dashes. */
  readonly argument: string
}

/** The table, one row a setting, in its order. */
export const settingList: readonly Setting[] = Object.entries<TSchema>(ServerSettings.properties).flatMap(
  ([name, schema]) => (isName(name) ? [describe(name, schema)] : []),
)

function isName(name: string): name is SettingName {
  return Object.hasOwn(ServerSettings.properties, name)
}

function describe(name: SettingName, schema: TSchema): Setting {
  const note = (key: string): unknown => Reflect.get(schema, key)
  const text = (key: string): string | undefined => {
    const value = note(key)
    return typeof value === 'string' ? value : undefined
  }
  const kinds = { array: 'list', integer: 'whole number' } as const
  const type = text('type')
  return {
    name,
    kind: type === 'array' || type === 'integer' ? kinds[type] : 'text',
    default: note('default'),
    description: text('description') ?? '',
    must: text('must') ?? 'is not right',
    otherwise: text('otherwise'),
    isSecret: note('isSecret') === true,
    argument: name.toLowerCase().replaceAll('_', '-'),
  }
}
