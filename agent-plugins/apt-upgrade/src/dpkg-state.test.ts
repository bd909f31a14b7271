import { describe, expect, it } from 'vitest'
import { changedPackages, parsePackageStates } from './dpkg-state.ts'

const text = [
  'curl\tamd64\t8.0\tinstalled\tok',
  'libc6\tamd64\t2.36\tinstalled\tok',
  'libc6\ti386\t2.36\tinstalled\tok',
  'tzdata\tall\t2026a\thalf-configured\tok',
  'zip\tamd64\t3.0\tunpacked\treinstreq',
  'old\tamd64\t1.0\tconfig-files\tok',
  '',
].join('\n')

describe("dpkg's database", () => {
  it('tells what is installed, what is half done and what is broken', () => {
    const states = parsePackageStates(text, 'amd64')
    expect([...states.installed]).toEqual([
      ['curl', '8.0'],
      ['libc6', '2.36'],
      ['libc6:i386', '2.36'],
    ])
    expect(states.unfinished).toEqual(['tzdata', 'zip'])
    expect(states.broken).toEqual(['zip'])
  })
})

describe('what really changed', () => {
  it('is every package in another version than before, with where it came from', () => {
    const before = new Map([
      ['curl', '7.0'],
      ['same', '1.0'],
    ])
    const after = new Map([
      ['same', '1.0'],
      ['new', '1.0'],
      ['curl', '8.0'],
      ['finished', '2.0'],
    ])
    const planned = [
      { name: 'curl', from: '7.0', to: '8.0', security: true },
      { name: 'finished', from: '1.9', to: '2.0' },
    ]
    expect(changedPackages(before, after, planned)).toEqual([
      { name: 'curl', from: '7.0', to: '8.0', security: true },
      { name: 'finished', from: '1.9', to: '2.0' },
      { name: 'new', from: null, to: '1.0' },
    ])
  })
})
