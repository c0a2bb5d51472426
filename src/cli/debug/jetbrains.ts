import { fromProject } from './configuration.ts'
import type { DebugConfiguration } from './configuration.ts'

/** The file's name in `.idea/runConfigurations`. */
export function runConfigurationFile({ title }: DebugConfiguration): string {
  return `${title.replace(/[^A-Za-z0-9]+/g, '_')}.xml`
}

/**
 * A run configuration of WebStorm, IntelliJ IDEA Ultimate and the like (Node: "Attach to Node.js/Chrome"), or of PyCharm from
 * 2025.3 on (Python: "Attach to DAP"). Of one that is there only the port is made right.
 */
export function mergeRunConfiguration(
  text: string | undefined,
  wanted: DebugConfiguration,
  project: string,
): string {
  const { language, host, port } = wanted
  if (text === undefined) return newRunConfiguration(wanted, project)
  if (language === 'node') return text.replace(/(<configuration\b[^>]*?\sport=")[^"]*(")/, `$1${port}$2`)
  return text.replace(/(name="remoteAddress"\s+value=")[^"]*(")/, `$1${host}:${port}$2`)
}

function newRunConfiguration(wanted: DebugConfiguration, project: string): string {
  const { title, language, host, port, remoteRoot } = wanted
  const name = attribute(title)
  const local = attribute(fromProject('$PROJECT_DIR$', project, wanted.localRoot))
  const remote = attribute(remoteRoot)
  const configuration =
    language === 'node'
      ? [
          `  <configuration default="false" name="${name}" type="ChromiumRemoteDebugType" factoryName="Chromium Remote" host="${host}" port="${port}" restartOnDisconnect="true">`,
          `    <mapping url="file://${remote}" local-file="${local}" />`,
          '    <method v="2" />',
          '  </configuration>',
        ]
      : [
          `  <configuration default="false" name="${name}" type="PythonDapAttachConfiguration">`,
          `    <option name="remoteAddress" value="${host}:${port}" />`,
          '    <PathMappingSettings>',
          '      <option name="pathMappings">',
          '        <list>',
          `          <mapping local-root="${local}" remote-root="${remote}" />`,
          '        </list>',
          '      </option>',
          '    </PathMappingSettings>',
          '    <method v="2" />',
          '  </configuration>',
        ]
  return ['<component name="ProjectRunConfigurationManager">', ...configuration, '</component>', ''].join(
    '\n',
  )
}

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
