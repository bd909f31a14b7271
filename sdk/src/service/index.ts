export { createServiceNotice, type ServiceNotice, type StartNotifier } from './service-notice.ts'
