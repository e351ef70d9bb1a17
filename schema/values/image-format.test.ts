import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { createInspector, HEAD_BYTES_MAX, type Inspection, matches, qemuFormat } from './image-format.ts'
import { descriptorProblem } from './image-vmdk.ts'

const MIB = 1024 * 1024

function inspect(bytes: Uint8Array, chunk = 65_536): Inspection {
  const inspector = createInspector()
  for (let at = 0; at < bytes.length; at += chunk) inspector.push(bytes.subarray(at, at + chunk))
  return inspector.finish()
}

/** Disks with real content and no way out, written by hand where qemu-img cannot. */
function isoBytes(): Buffer {
  const bytes = Buffer.alloc(40 * 1024)
  bytes[0x8000] = 1
  bytes.write('CD001', 0x8001)
  bytes.writeUInt32LE(20, 0x8000 + 80)
  bytes.writeUInt16LE(2048, 0x8000 + 128)
  return bytes
}

function gptBytes(): Buffer {
  const bytes = Buffer.alloc(64 * 1024)
  bytes.writeUInt16LE(0xaa55, 510)
  bytes.write('EFI PART', 512)
  return bytes
}

function qcow2Bytes(edit: (header: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(256 * 1024)
  bytes.writeUInt32BE(0x514649fb, 0)
  bytes.writeUInt32BE(3, 4)
  bytes.writeUInt32BE(16, 20)
  bytes.writeBigUInt64BE(BigInt(10 * MIB), 24)
  bytes.writeUInt32BE(4, 96)
  bytes.writeUInt32BE(104, 100)
  edit(bytes)
  return bytes
}

describe('image format, bytes made by hand', () => {
  it('takes what it does not know for raw', () => {
    assert.deepEqual(inspect(new Uint8Array(0)), { format: 'raw', virtual_size_bytes: null, problem: null })
    assert.equal(inspect(Buffer.from('#!/bin/sh\n')).format, 'raw')
    assert.equal(inspect(gptBytes()).format, 'gpt')
    assert.deepEqual(inspect(Buffer.from('4c554b53babe0002'.padEnd(2048, '0'), 'hex')), { format: 'luks', virtual_size_bytes: null, problem: null })
  })

  it('finds an ISO at 32 KiB, partitioned for USB or not', () => {
    assert.deepEqual(inspect(isoBytes()), { format: 'iso', virtual_size_bytes: 40_960, problem: null })
    const hybrid = isoBytes()
    gptBytes().copy(hybrid, 0, 0, 4096)
    assert.equal(inspect(hybrid).problem, null)
  })

  it('refuses a qcow2 that reaches out', () => {
    assert.deepEqual(inspect(qcow2Bytes()), { format: 'qcow2', virtual_size_bytes: 10 * MIB, problem: null })
    const hostile: [(header: Buffer) => void, RegExp][] = [
      [(h) => h.writeBigUInt64BE(1024n, 8), /backing file/],
      [(h) => h.writeUInt32BE(9, 16), /backing file/],
      [(h) => h.writeBigUInt64BE(4n, 72), /external data file/],
      [(h) => h.writeBigUInt64BE(1n << 40n, 72), /not known/],
      [(h) => h.writeBigUInt64BE(2n, 72), /corrupt/],
      [(h) => h.writeUInt32BE(1, 32), /encrypted/],
      [(h) => h.writeUInt32BE(4, 4), /version 4/],
      [(h) => h.writeUInt32BE(63, 20), /cluster size/],
      [(h) => h.writeUInt32BE(8, 100), /header length/],
      [(h) => h.writeUInt32BE(0x44415441, 104), /external data file/],
      [(h) => h.writeUInt32BE(0xe2792aca, 104), /backing file/],
      [(h) => h.writeBigUInt64BE(1n << 62n, 24), /impossible size/],
    ]
    for (const [edit, problem] of hostile) assert.match(inspect(qcow2Bytes(edit)).problem ?? 'none', problem)
    assert.match(inspect(qcow2Bytes().subarray(0, 60)).problem ?? 'none', /cut short/)
  })

  it('refuses bytes with two meanings', () => {
    const both = qcow2Bytes()
    isoBytes().copy(both, 0x8000, 0x8000)
    assert.match(inspect(both).problem ?? 'none', /qcow2 and iso/)
    const partitioned = qcow2Bytes()
    gptBytes().copy(partitioned, 510, 510, 1024)
    assert.match(inspect(partitioned).problem ?? 'none', /partitioned/)
  })

  it('refuses VMDK descriptors that name files', () => {
    const good = '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicSparse"\nRW 2048 SPARSE "disk.vmdk"\nddb.adapterType = "ide"\n'
    assert.equal(descriptorProblem(good), null)
    for (const [from, to] of [
      ['SPARSE "disk.vmdk"', 'FLAT "/etc/shadow" 0'],
      ['"disk.vmdk"', '"/etc/shadow"'],
      ['parentCID=ffffffff', 'parentCID=00000001'],
      ['version=1', 'parentFileNameHint="/etc/shadow"'],
      ['monolithicSparse', 'monolithicFlat'],
      ['ddb.adapterType', 'RW 1 SPARSE "b.vmdk"\nddb.adapterType'],
      ['createType="monolithicSparse"', ''],
    ] as const) {
      assert.notEqual(descriptorProblem(good.replace(from, to)), null, to)
    }
    for (const bare of [good, good.slice(good.indexOf('version')), `#\n\n${good}`]) assert.match(inspect(Buffer.from(bare)).problem ?? 'none', /names other files/)
  })

  it('matches claims with what was found', () => {
    for (const claim of ['raw', 'ami', 'ari', 'aki', 'ploop']) {
      assert.equal(matches(claim, 'raw') && matches(claim, 'gpt'), true)
      for (const found of ['qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx', 'iso', 'qed']) assert.equal(matches(claim, found), false)
    }
    for (const claim of ['qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx', 'iso']) assert.deepEqual([matches(claim, claim), matches(claim, 'raw')], [true, false])
    assert.deepEqual([matches('qed', 'qed'), matches('nonsense', 'nonsense')], [false, false])
    assert.deepEqual(['vhd', 'iso', 'ami', 'qcow2', 'luks'].map(qemuFormat), ['vpc', 'raw', 'raw', 'qcow2', null])
  })

  it('never throws, whatever the header says, however it is cut', () => {
    const seeds = [qcow2Bytes(), isoBytes(), gptBytes(), Buffer.from('KDMV'.padEnd(70_000, '\0')), Buffer.from('vhdxfile'.padEnd(300_000, '\x01')), Buffer.from('conectix'.padEnd(600, '\x02'))]
    const edits = fc.array(fc.tuple(fc.nat(1023), fc.nat(255)), { maxLength: 40 })
    fc.assert(
      fc.property(fc.constantFrom(...seeds), edits, fc.nat(70_000), fc.integer({ min: 1, max: 100_000 }), (seed, changes, cut, chunk) => {
        const bytes = Buffer.from(seed.subarray(0, Math.max(cut, 16)))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        const found = inspect(bytes, chunk)
        assert.deepEqual(found, inspect(bytes, 4096), 'chunking changes nothing')
        assert.equal(found.virtual_size_bytes === null || Number.isSafeInteger(found.virtual_size_bytes), true)
      }),
      { numRuns: 300 },
    )
  })
})

const hasQemuImg = ((): boolean => {
  try {
    execFileSync('qemu-img', ['--version'])
    return true
  } catch {
    return false
  }
})()

describe('image format, images made by qemu-img', { skip: hasQemuImg ? false : 'qemu-img is missing' }, () => {
  let dir = ''
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'image-format-'))
    // Not all zeros, so that converted images have data clusters.
    const raw = Buffer.alloc(10 * MIB)
    raw.write('some content', 5 * MIB)
    writeFileSync(join(dir, 'raw'), raw)
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  const convert = (name: string, format: string, options: string[] = []): Buffer => {
    const target = join(dir, name)
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, ...options, join(dir, 'raw'), target])
    return readFileSync(target)
  }

  const cases: [name: string, qemu: string, options: string[], format: string, virtual: number | null][] = [
    ['raw', 'raw', [], 'raw', null],
    ['qcow2', 'qcow2', [], 'qcow2', 10 * MIB],
    ['qcow2 v2', 'qcow2', ['-o', 'compat=0.10'], 'qcow2', 10 * MIB],
    ['qcow2 compressed', 'qcow2', ['-c', '-o', 'compression_type=zstd'], 'qcow2', 10 * MIB],
    ['vmdk', 'vmdk', [], 'vmdk', 10 * MIB],
    ['vmdk stream', 'vmdk', ['-o', 'subformat=streamOptimized'], 'vmdk', 10 * MIB],
    ['vdi', 'vdi', [], 'vdi', 10 * MIB],
    ['vdi static', 'vdi', ['-o', 'static=on'], 'vdi', 10 * MIB],
    ['vhd', 'vpc', ['-o', 'force_size=on'], 'vhd', 10 * MIB],
    ['vhd fixed', 'vpc', ['-o', 'subformat=fixed,force_size=on'], 'vhd', 10 * MIB],
    ['vhdx', 'vhdx', [], 'vhdx', 10 * MIB],
  ]
  for (const [name, qemu, options, format, virtual] of cases) {
    it(`reads ${name}`, () => {
      const bytes = name === 'raw' ? readFileSync(join(dir, 'raw')) : convert(name.replaceAll(' ', '-'), qemu, options)
      for (const chunk of [bytes.length, 65_536, 9999]) assert.deepEqual(inspect(bytes, chunk), { format, virtual_size_bytes: virtual, problem: null })
    })
  }

  it('refuses a backing file, an external data file, qed, flat VMDK and qcow 1', () => {
    const create = (name: string, argv: string[]): Inspection => {
      execFileSync('qemu-img', ['create', '-q', ...argv.map((word) => (word === '@' ? join(dir, name) : word))])
      return inspect(readFileSync(join(dir, name)))
    }
    convert('base', 'qcow2')
    assert.match(create('backed', ['-f', 'qcow2', '-b', join(dir, 'base'), '-F', 'qcow2', '@']).problem ?? 'none', /backing file/)
    assert.match(create('datafile', ['-f', 'qcow2', '-o', `data_file=${join(dir, 'data')}`, '@', '10M']).problem ?? 'none', /external data file/)
    assert.match(create('qed', ['-f', 'qed', '@', '10M']).problem ?? 'none', /qed/)
    assert.match(create('qcow', ['-f', 'qcow', '@', '10M']).problem ?? 'none', /version 1/)
    assert.match(create('flat', ['-f', 'vmdk', '-o', 'subformat=monolithicFlat', '@', '10M']).problem ?? 'none', /names other files/)
    assert.match(create('child.vhdx', ['-f', 'vmdk', '-b', join(dir, 'vmdk'), '-F', 'vmdk', '@']).problem ?? 'none', /depends on another/)
  })

  it('never throws on real images with damaged headers', () => {
    const images = cases.slice(1).map(([name, qemu, options]) => convert(`fuzz-${name.replaceAll(' ', '-')}`, qemu, options).subarray(0, HEAD_BYTES_MAX + 3 * MIB))
    fc.assert(
      fc.property(fc.nat(images.length - 1), fc.array(fc.tuple(fc.nat(HEAD_BYTES_MAX), fc.nat(255)), { maxLength: 30 }), fc.array(fc.tuple(fc.nat(512), fc.nat(255)), { maxLength: 8 }), (which, far, near) => {
        const bytes = Buffer.from(images[which] ?? Buffer.alloc(0))
        for (const [at, value] of [...far, ...near]) if (at < bytes.length) bytes[at] = value
        const found = inspect(bytes)
        assert.equal(typeof found.format, 'string')
      }),
      { numRuns: 100 },
    )
  })
})
