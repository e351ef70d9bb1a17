import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as args from './args.ts'

const line = (argv: string[]): string => argv.join(' ')

it('writes the command lines of copying', () => {
  assert.deepEqual(
    [args.copyArgv('/v/a', '/v/b'), args.reflinkProbeArgv('/v/a', '/v/b'), args.convertArgv('qcow2', '/i', '/o'), args.imageInfoArgv('vpc', '/i')].map(line),
    [
      'cp --reflink=auto --sparse=always -- /v/a /v/b',
      'cp --reflink=always -- /v/a /v/b',
      'qemu-img convert -q -f qcow2 -O raw -S 4k -- /i /o',
      'qemu-img info -f vpc --output=json -- /i',
    ],
  )
})

it('writes the command lines of the target', () => {
  const spec = { chap_user: 'u', chap_secret: 's' }
  const lines = [
    args.tgtdArgv('10.0.0.1', 3260),
    args.tgtdArgv('fd00::1', 3260),
    args.systemShowArgv(),
    args.systemStopArgv(),
    args.targetsShowArgv(),
    args.targetNewArgv(4, 'iqn.2026-01.org.skyhook:v'),
    args.targetDeleteArgv(4),
    args.lunNewArgv(4, 1, '/v/a'),
    args.lunNameArgv(4, 1, '8a1f0c9e-1111-2222-3333-444455556666'),
    args.lunDeleteArgv(4, 1),
    args.accountNewArgv(spec),
    args.accountBindArgv(4, 'u'),
    args.accountDeleteArgv('u'),
    args.aclBindArgv(4),
    args.aclUnbindArgv(4),
  ].map(line)
  const tgtadm = 'tgtadm -C 1 --lld iscsi --mode'
  assert.deepEqual(lines, [
    'tgtd -f -C 1 --iscsi portal=10.0.0.1:3260',
    'tgtd -f -C 1 --iscsi portal=[fd00::1]:3260',
    `${tgtadm} system --op show`,
    `${tgtadm} system --op delete`,
    `${tgtadm} target --op show`,
    `${tgtadm} target --op new --tid 4 --targetname iqn.2026-01.org.skyhook:v`,
    `${tgtadm} target --op delete --force --tid 4`,
    `${tgtadm} logicalunit --op new --tid 4 --lun 1 --bstype rdwr --backing-store /v/a`,
    `${tgtadm} logicalunit --op update --tid 4 --lun 1 --params vendor_id=SKYHOOK,product_id=VOLUME,scsi_sn=8a1f0c9e-1111-2222-3333-444455556666`,
    `${tgtadm} logicalunit --op delete --tid 4 --lun 1`,
    `${tgtadm} account --op new --user u --password s`,
    `${tgtadm} account --op bind --tid 4 --user u`,
    `${tgtadm} account --op delete --user u`,
    `${tgtadm} target --op bind --tid 4 --initiator-address ALL`,
    `${tgtadm} target --op unbind --tid 4 --initiator-address ALL`,
  ])
})

it('reads what tgtadm shows', () => {
  const shown = `Target 1: iqn.2026-01.x:a
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 3
            Initiator: iqn.2008-11.org.linux-kvm alias: none
            Connection: 0
                IP Address: 127.0.0.1
    LUN information:
        LUN: 0
            Type: controller
            Size: 0 MB, Block size: 1
            Backing store path: None
        LUN: 1
            Type: disk
            SCSI SN: 0123
            Size: 1074 MB, Block size: 512
            Backing store type: rdwr
            Backing store path: /v/a b
            Backing store flags: 
    Account information:
        u1
    ACL information:
        ALL
Target 3: iqn.2026-01.x:b
    I_T nexus information:
    LUN information:
    Account information:
    ACL information:
`
  const targets = args.parseTargets(shown)
  assert.deepEqual(targets, [
    { tid: 1, iqn: 'iqn.2026-01.x:a', luns: [{ lun: 0, path: 'None', size_mb: 0 }, { lun: 1, path: '/v/a b', size_mb: 1074 }], accounts: ['u1'], acl: ['ALL'], sessions: 1 },
    { tid: 3, iqn: 'iqn.2026-01.x:b', luns: [], accounts: [], acl: [], sessions: 0 },
  ])
  assert.equal(args.freeTid(targets), 2)
  assert.deepEqual(args.parseTargets(''), [])
  assert.equal(args.listensOnlyAt('Portal: 10.0.0.1:3260,1\n', '10.0.0.1', 3260), true)
  assert.equal(args.listensOnlyAt('Portal: [::]:3260,1\nPortal: 0.0.0.0:3260,1\n', '10.0.0.1', 3260), false)
  assert.deepEqual(args.parseAccounts('Account list:\n    u1\n    u2\n'), ['u1', 'u2'])
})
