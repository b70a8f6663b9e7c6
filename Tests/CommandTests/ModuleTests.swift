import Foundation
import TestSupport
import Testing

/// `swift build --explicit-target-dependency-import-check error` of Swift 6.3 accepts an undeclared import if the imported
/// module is already built, so a test makes the check.
@Suite("Modules") struct ModuleTests {
  private static let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()

  /// The modules that the package declares as dependencies of each of its Swift modules.
  private static func dependencies() throws -> [String: Set<String>] {
    let target =
      /\.(?:target|executableTarget|testTarget|systemLibrary)\(\s*name: "(\w+)"(?:,\s*dependencies: \[([^\]]*)\](?: \+ (\w+))?)?/
    let package = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
    // Dependencies that a build can leave out.
    let lists = Dictionary(
      uniqueKeysWithValues: package.matches(of: /let (\w+): \[Target.Dependency\] = (.*)/).map { ($0.1, $0.2) })
    return Dictionary(
      package.matches(of: target).map { match in
        let names = (match.2 ?? "") + (match.3.flatMap { lists[$0] } ?? "")
        return (String(match.1), Set(names.matches(of: /"(\w+)"/).map { String($0.1) }))
      }, uniquingKeysWith: { $0.union($1) })
  }

  /// The modules that the sources of a module import.
  private static func imports(_ folder: URL) throws -> Set<String> {
    let line = /^(?:@\w+ )*(?:(?:public|internal|package|private|fileprivate) )?import (?:\w+ )?(\w+)/
    var modules: Set<String> = []
    for file in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where file.hasSuffix(".swift") {
      let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
      modules.formUnion(text.split(separator: "\n").compactMap { $0.firstMatch(of: line).map { String($0.1) } })
    }
    return modules
  }

  @Test("Every module imports only modules that Package.swift declares for it")
  func imports() throws {
    let declared = try Self.dependencies()
    #expect(declared["quillan"]?.contains("Runs") == true && declared["MPI"]?.contains("CMPI") == true)
    var checked = 0
    for (module, dependencies) in declared {
      for parent in ["Sources", "Tests"] {
        let folder = Self.root.appendingPathComponent("\(parent)/\(module)")
        guard FileManager.default.fileExists(atPath: folder.path) else { continue }
        let imported = try Self.imports(folder).intersection(declared.keys)
        let undeclared = imported.subtracting(dependencies).subtracting([module]).sorted()
        #expect(undeclared.isEmpty, "\(module) imports \(undeclared); declare them in Package.swift")
        checked += imported.isEmpty ? 0 : 1
      }
    }
    #expect(checked > 20)
  }
}
