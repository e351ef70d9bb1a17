/** Requests signed by keystoneclient 5.0.1 (keystoneclient.contrib.ec2.utils.Ec2Signer), which is what Keystone itself checks them with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ec2Signed, ec2Fault } from './signed.ts'

const SECRET = '66a0eb7a21944b8ba2ab2ff6cd4bf2b1'
const NOW = Date.parse('2026-11-23T00:05:00Z')

const SIGNED: Ec2Signed[] = [
  {access: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', host: 'ec2.example.com:8788', verb: 'GET', path: '/services/Cloud', params: {AWSAccessKeyId: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', Action: 'DescribeInstances', 'Filter.1.Name': 'tag:a b', 'Filter.1.Value.1': 'x/y~z*\u00e9', SignatureVersion: '2', Timestamp: '2026-11-23T00:00:00Z', Version: '2014-10-01', SignatureMethod: 'HmacSHA256'}, headers: {}, body_hash: '', signature: 'NsMcBTs3+2wWkrII2HrhskNguGcXeNHufuRLErAForA='},
  {access: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', host: 'h', verb: 'GET', path: '/', params: {AWSAccessKeyId: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', Action: 'DescribeInstances', SignatureVersion: '1', Timestamp: '2026-11-23T00:00:00Z'}, headers: {}, body_hash: '', signature: 'XKzA7ObzfJrQbkPst/sIojgAZfc='},
  {access: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', host: 'h', verb: 'GET', path: '/', params: {AWSAccessKeyId: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', Action: 'DescribeInstances', SignatureVersion: '0', Timestamp: '2026-11-23T00:00:00Z'}, headers: {}, body_hash: '', signature: 'tcTf4nXzy0ljbXzApZSFP6VG8TM='},
  {access: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', host: 'ec2.example.com:8788', verb: 'POST', path: '/', params: {Action: 'DescribeInstances', Version: '2014-10-01'}, headers: {Host: 'ec2.example.com:8788', 'X-Amz-Date': '20261123T000000Z', 'Content-Type': 'application/x-www-form-urlencoded', Authorization: 'AWS4-HMAC-SHA256 Credential=b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55/20261123/RegionOne/ec2/aws4_request,SignedHeaders=content-type;host;x-amz-date,Signature=x'}, body_hash: '478363e4162398f50a78678e9baea952fcf681805b47686d85835217ea6b0866', signature: 'c9671a17934a66e1fbb2d800e6bbe9b7964b8f6b9187c4a4dadf56d8facb42f1'},
  {access: 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55', host: 'ec2.example.com:8788', verb: 'GET', path: '/', params: {Action: 'DescribeInstances', 'Filter.1.Value.1': 'x/y z', 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': 'b3d9c9fb0e4d4f3b9f2f2b0e6a1c7d55/20261123/RegionOne/ec2/aws4_request', 'X-Amz-Date': '20261123T000000Z', 'X-Amz-SignedHeaders': 'host', 'X-Amz-Signature': 'e18e130719f790787738afcc96c6d8a02cb8456996096f304a1b366515321613'}, headers: {Host: 'ec2.example.com:8788'}, body_hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', signature: 'e18e130719f790787738afcc96c6d8a02cb8456996096f304a1b366515321613'},
]

test('signatures of versions 2, 1, 0 and 4 (header and query) are those of keystoneclient', () => {
  for (const given of SIGNED) assert.equal(ec2Fault(given, SECRET, NOW), null, JSON.stringify(given))
})

test('none of them holds with another secret, verb, path or action, or a quarter of an hour later', () => {
  for (const given of SIGNED) {
    const version = given.params.SignatureVersion
    const changed: Ec2Signed[] = [{ ...given, params: { ...given.params, Timestamp: '2026-11-23T00:01:00Z', 'X-Amz-Date': '20261123T000100Z', Action: 'X' }, body_hash: 'x' }, { ...given, signature: '' }]
    if (version !== '0' && version !== '1') changed.push({ ...given, verb: 'PUT' }, { ...given, path: '/other' })
    for (const each of changed) assert.notEqual(ec2Fault(each, SECRET, NOW), null, JSON.stringify(each))
    assert.notEqual(ec2Fault(given, 'another', NOW), null)
    assert.notEqual(ec2Fault(given, SECRET, NOW + 11 * 60_000), null)
  }
})
