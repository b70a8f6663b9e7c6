import Dispatch
import Files
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Output files")
struct OutputFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ text: String, _ name: String, _ policy: OutputPolicy) throws {
    let file = try OutputFile(folder.path(name), policy)
    try file.append(text.utf8)
    try file.commit()
  }

  private func mode(_ name: String) -> mode_t {
    var status = stat()
    return lstat(folder.path(name), &status) == 0 ? status.st_mode : 0
  }

  @Test("A regular file of the user is replaced only by force, and then keeps its mode")
  func existing() throws {
    try folder.write("mine", to: "old")
    chmod(folder.path("old"), 0o640)
    let error = #expect(throws: OutputError.self) { try write("new", "old", .new) }
    #expect(error?.code == .refused && error?.remedy?.contains("--force") == true)
    #expect(throws: OutputError.self) { try OutputFile.check(folder.path("old"), .new) }
    #expect(folder.text("old") == "mine")
    try write("new", "old", .replacing)
    #expect(folder.text("old") == "new" && mode("old") & 0o777 == 0o640)
    #expect(try folder.names == ["old"])
  }

  @Test("A new file has the mode that the umask allows, and only its owner can read its draft")
  func modes() throws {
    let file = try OutputFile(folder.path("a"), .new)
    let draft = try #require(try folder.names.first)
    #expect(draft.hasPrefix(".quillan-") && draft.hasSuffix(".partial") && mode(draft) & 0o777 == 0o600)
    try file.commit()
    let mask = umask(0)
    umask(mask)
    #expect(mode("a") & 0o777 == 0o666 & ~mask)
    #expect(file.fileSize == 0)
  }

  @Test("A file that appears at the path meanwhile is not replaced")
  func race() throws {
    let file = try OutputFile(folder.path("a"), .new)
    try folder.write("other", to: "a")
    #expect(throws: OutputError.self) { try file.commit() }
    #expect(folder.text("a") == "other")
  }

  @Test("An output that is released without commit leaves nothing")
  func dropped() throws {
    do {
      let file = try OutputFile(folder.path("a"), .new)
      try file.append("x".utf8)
    }
    #expect(try folder.names == [])
  }

  @Test("A named pipe receives the bytes and stays a pipe", .timeLimit(.minutes(1)))
  func pipe() throws {
    let path = folder.path("pipe")
    #expect(mkfifo(path, 0o600) == 0)
    let received = Mutex<[UInt8]>([])
    let isRead = DispatchSemaphore(value: 0)
    // A separate thread, which may block on the writer: the threads of the pool run tests.
    let reader = Thread {
      let pipe = open(path, O_RDONLY)
      var bytes = [UInt8](repeating: 0, count: 64)
      while true {
        let count = read(pipe, &bytes, bytes.count)
        guard count > 0 else { break }
        received.withLock { $0 += bytes[..<count] }
      }
      close(pipe)
      isRead.signal()
    }
    reader.start()
    try write("through", "pipe", .new)
    isRead.wait()
    #expect(received.withLock { $0 } == Array("through".utf8))
    #expect(mode("pipe") & S_IFMT == S_IFIFO)
  }

  @Test("A device is written to, and a full device is reported as a full disk")
  func device() throws {
    let null = try OutputFile("/dev/null", .new)
    try null.append("x".utf8)
    try null.commit()
    #expect(null.fileSize == nil)
    let error = #expect(throws: OutputError.self) { try OutputFile("/dev/full", .new).append("x".utf8) }
    #expect(error?.code == .diskFull)
  }

  @Test("A link of the user is followed to a new file, by force to an existing one, and stays a link")
  func links() throws {
    try folder.makeFolder("other")
    try folder.link("link", to: "other/target")
    try write("one", "link", .new)
    #expect(folder.text("other/target") == "one")
    #expect(throws: OutputError.self) { try write("two", "link", .new) }
    try write("two", "link", .replacing)
    #expect(folder.text("other/target") == "two" && mode("link") & S_IFMT == S_IFLNK)
    try folder.link("loop", to: "loop")
    #expect(throws: OutputError.self) { try write("x", "loop", .new) }
  }

  @Test("At the path of the program's own file, only a regular file is replaced")
  func own() throws {
    try folder.write("thesis", to: "precious")
    try folder.link("plot.svg", to: "precious")
    try folder.makeFolder("metrics")
    for name in ["plot.svg", "metrics"] {
      let error = #expect(throws: OutputError.self) { try write("x", name, .own) }
      #expect(error?.code == .refused)
    }
    #expect(folder.text("precious") == "thesis")
    try write("a", "file", .own)
    try write("b", "file", .own)
    #expect(folder.text("file") == "b")
    #expect(try folder.names == ["file", "metrics", "plot.svg", "precious"])
  }

  @Test(
    "Directories, empty paths and paths that end in a slash are refused", arguments: [OutputPolicy.new, .replacing])
  func impossible(policy: OutputPolicy) throws {
    for path in ["", ".", "..", "/", folder.url.path, folder.path("x/"), folder.path("a\0b")] {
      let error = #expect(throws: OutputError.self, "\(path)") { try OutputFile(path, policy) }
      #expect(error?.code == .refused, "\(path)")
    }
    #expect(throws: OutputError.self) { try OutputFile(folder.path("missing/x"), policy) }
    #expect(throws: OutputError.self) { try OutputFile.check(folder.path("missing/x"), policy) }
    #expect(try folder.names == [])
  }

  @Test("The next output removes a killed process's temporary file, but not a live one's")
  func leftovers() throws {
    let living = try OutputFile(folder.path("a"), .new)
    let name = TemporaryName.make()
    try folder.write("left behind", to: name)
    try folder.makeFolder(TemporaryName.make())
    try folder.write("other", to: ".quillan-of-somebody-else.partial")
    try write("b", "b", .new)
    #expect(try folder.names.filter { $0.hasPrefix(".quillan-") }.count == 2)
    #expect(folder.text(name) == nil && folder.text(".quillan-of-somebody-else.partial") == "other")
    try living.commit()
    #expect(folder.text("a") == "")
  }
}
