import { defineContract, Type } from '@fleetupdate/sdk'

const closed = { additionalProperties: false }

/** Output of all commands on the server's side; on the agent `follow`, which shows a journald unit or a log file as it grows. */
export const logStream = defineContract('log-stream', {
  commands: {
    follow: {
      title: 'Follow a log',
      description:
        'Shows the last 100 lines of a systemd unit or a log file, then every new one until it is cancelled.',
      input: Type.Union([
        Type.Object(
          {
            unit: Type.String({
              title: 'Unit',
              description: 'Name of a systemd unit; without a suffix, a service is meant',
              pattern: '^[A-Za-z0-9@._:\\\\-]{1,255}$',
            }),
          },
          closed,
        ),
        Type.Object(
          {
            file: Type.String({
              title: 'File',
              description: 'Absolute path of a log file, below /var/log',
              pattern: '^/[^\\u0000-\\u001f\\u007f]{1,1023}$',
            }),
          },
          closed,
        ),
      ]),
      role: 'operator',
      effect: 'observe',
      endless: true,
    },
  },
})
