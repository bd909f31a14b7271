/** Why an update is not made; the message is shown to the operator. */
export class UpdateRefused extends Error {}
