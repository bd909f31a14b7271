#!/usr/bin/env node
import { buildPlugin } from '../dist/build/index.js'

try {
  for (const { file, bytes } of await buildPlugin(process.argv[2] ?? process.cwd()))
    console.log(`${file}  ${(bytes / 1024).toFixed(1)} kB`)
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
