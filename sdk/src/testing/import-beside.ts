/** Imports a package that the author installs beside the sdk; says so where it is missing. */
export async function importBeside<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new Error(
      `A server part is tested with the package "${name}"; install it beside the sdk: npm install --save-dev ${name}`,
      { cause },
    )
  }
}
