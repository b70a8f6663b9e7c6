/// The line of code that called a collective: `Parallelism/GradientReducer.swift:98`.
package struct CallSite: Sendable, CustomStringConvertible {
  let file: StaticString
  let line: Int

  package init(_ file: StaticString, _ line: Int) {
    self.file = file
    self.line = line
  }

  package var description: String { "\(file):\(line)" }
}
