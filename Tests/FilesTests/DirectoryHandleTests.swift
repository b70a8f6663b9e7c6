import Files
import Foundation
import TestSupport
import Testing

@Suite("Directory handles")
struct DirectoryHandleTests {
  @Test("Operations on names do not follow links")
  func links() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("inside")
    try folder.makeFolder("outside")
    try folder.write("thesis", to: "outside/file")
    try folder.link("inside/directory", to: "../outside")
    try folder.link("inside/file", to: "../outside/file")
    let handle = try DirectoryHandle(folder.path("inside"))
    #expect(throws: FileFault.self) { try handle.directory("directory") }
    #expect(throws: FileFault.self) { try handle.openFile("file") }
    #expect(throws: FileFault.self) { try handle.createFile("file") }
    #expect(try handle.identity("file")?.kind == .link && handle.identity("nothing") == nil)
    try handle.removeFile("file")
    #expect(folder.text("outside/file") == "thesis")
    #expect(try handle.names() == ["directory"])
  }
}
