// For executor bundles: nothing here pulls in TypeBox, which costs an agent 5 MB of memory.
export * from './contract/executor.ts'
export { type LockHolder, type LockWait, lockHolder, waitForLocks } from './executor-kit/file-locks.ts'
