import Files
import Foundation
import Testing

@Suite struct DirectoryHandleTests {
  @Test("Names are used without following links")
  func links() throws {
    let folder = try TestFolder()
    try folder.makeDirectory("inside")
    try folder.makeDirectory("outside")
    try folder.write("outside/file", "thesis")
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
