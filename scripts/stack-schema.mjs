// Writes stack.schema.json, which editors read, from the schema that the reader itself uses. Needs `npm run build`.
import { writeFileSync } from 'node:fs'
import { stackSchemaFile } from '../dist/stack/json-schema.js'

writeFileSync(new URL('../stack.schema.json', import.meta.url), stackSchemaFile())
