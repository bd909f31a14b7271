export type PeopleTables = {}
