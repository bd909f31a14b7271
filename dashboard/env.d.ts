declare module 'virtual:core-icons' {
  const icons: Readonly<Record<string, string>>
  export default icons
}
