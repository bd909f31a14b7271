// For executor bundles: nothing here pulls in TypeBox, which costs an agent 5 MB of memory.
export * from './contract/executor.ts'
