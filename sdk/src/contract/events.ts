/** The typed messages of the server's event bus. They only wake people up: the truth is in the store. */
export interface FleetEvents {
  'agent.enrolled': { agentId: string }
  'agent.connected': { agentId: string }
  'agent.disconnected': { agentId: string }
  'agent.removed': { agentId: string }
  'agent.updated': { agentId: string }
  'agent.quarantined': { agentId: string; reason: string }
  'agent.rekeyed': { agentId: string }
  'enrolment.changed': { id: string }
  'facts.updated': { agentId: string; plugin: string }
  'command.created': { commandId: string; agentId: string }
  'command.updated': { commandId: string; agentId: string; state: string; finished: boolean }
  'output.appended': { commandId: string; end: number }
  'plugin.changed': { id: string; state: string }
  'notice.created': { level: string; title: string; text?: string; agentId?: string; plugin: string }
}
