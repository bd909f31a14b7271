export type AgentTables = {}
