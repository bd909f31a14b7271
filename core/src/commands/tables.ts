export type CommandTables = {}
