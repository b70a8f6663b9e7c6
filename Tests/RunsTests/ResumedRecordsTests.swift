import Dispatch
import Foundation
import Rollouts
import Testing
import Training

/// How a resumed run treats existing records and directories.
@Suite struct ResumedRecordsTests {
  /// A folder that is removed with the object.
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-records-\(UUID().uuidString)")
      .path
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
      try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }

    func bytes(_ name: String) -> Data? { FileManager.default.contents(atPath: "\(path)/\(name)") }
  }

  private func lines(_ steps: some Sequence<Int>) -> String { steps.map { "{\"loss\":0.5,\"step\":\($0)}\n" }.joined() }

  private let header = "{\"format\":\"quillan-metrics\",\"version\":1}\n"

  @Test("Lines of later steps and an incomplete last line are moved to another file, and nothing is lost")
  func later() throws {
    let folder = try Folder()
    let later = lines(4...6) + "{\"step\":7,\"lo"
    try folder.write("metrics.jsonl", (header + lines(1...3) + later).utf8)
    let path = "\(folder.path)/metrics.jsonl"
    let first = try JSONLinesFile.resume(path, after: 3, format: "quillan-metrics")
    #expect(first.lines.compactMap { $0["step"]?.integerValue } == [1, 2, 3])
    #expect(first.remarks.count == 1 && first.remarks[0].contains("4 lines after step 3 moved to"))
    #expect(folder.bytes("metrics.jsonl") == Data((header + lines(1...3)).utf8))
    let moved = header + "{\"abandoned_after_step\":3}\n" + later + "\n"
    #expect(folder.bytes("abandoned-metrics.jsonl") == Data(moved.utf8))
    // A second resume keeps the lines that the first one moved.
    #expect(try JSONLinesFile.resume(path, after: 2, format: "quillan-metrics").lines.count == 3)
    #expect(
      folder.bytes("abandoned-metrics.jsonl") == Data((moved + "{\"abandoned_after_step\":2}\n" + lines(3...3)).utf8))
    #expect(try JSONLinesFile.resume(path, after: 2, format: "quillan-metrics").remarks == [])
  }

  @Test(
    "A damaged line is kept and reported and does not affect other lines",
    arguments: [Array("{\"loss\":0.5,\"st\u{1}p\":2}\n".utf8), [0xFF, 0xFE, 0x0A], Array("[1]\n".utf8)])
  func damaged(line: [UInt8]) throws {
    let folder = try Folder()
    let bytes = Array((header + lines(1...1)).utf8) + line + Array(lines(3...5).utf8)
    try folder.write("metrics.jsonl", bytes)
    let result = try JSONLinesFile.resume("\(folder.path)/metrics.jsonl", after: 5, format: "quillan-metrics")
    #expect(result.lines.compactMap { $0["step"]?.integerValue } == [1, 3, 4, 5])
    #expect(result.remarks.count == 1 && result.remarks[0].contains("line 3 is not valid JSON"))
    #expect(folder.bytes("metrics.jsonl") == Data(bytes))
    #expect(folder.bytes("abandoned-metrics.jsonl") == nil)
  }

  @Test("A line with a damaged step does not affect other lines")
  func wrongStep() throws {
    let folder = try Folder()
    let bytes = Array((header + lines([1, 2, 900, 4, 5, 6])).utf8)
    try folder.write("metrics.jsonl", bytes)
    let result = try JSONLinesFile.resume("\(folder.path)/metrics.jsonl", after: 5, format: "quillan-metrics")
    #expect(result.lines.compactMap { $0["step"]?.integerValue } == [1, 2, 4, 5])
    #expect(folder.bytes("metrics.jsonl") == Data((header + lines([1, 2, 900, 4, 5])).utf8))
  }

  @Test("A report reads the lines around a damaged line and reports it")
  func report() throws {
    let folder = try Folder()
    let directory = try RunDirectory.create(parent: folder.path, name: "a", configuration: RunConfiguration())
    try folder.write("a/metrics.jsonl", Array((header + lines(1...2)).utf8) + [0xFF, 0x0A] + Array(lines(4...4).utf8))
    let content = try RunContent(path: directory.path)
    #expect(content.problems.count == 1 && content.problems[0].contains("metrics.jsonl: line 4"))
    #expect(RunReport([content]).html.contains("</html>"))
  }

  @Test("One process owns a run; the next process reports the owner, and gets the run when the owner has ended")
  func lock() throws {
    let folder = try Folder()
    var first: RunLock? = try RunLock(folder.path)
    #expect(first?.remark == nil)
    let error = #expect(throws: TrainingError.self) { try RunLock(folder.path) }
    #expect(error?.kind == .failure && error?.description.contains("process \(getpid()) on ") == true)
    first = nil
    #expect(folder.bytes(RunLock.fileName) == nil)
    // A killed process leaves the file, but the system releases its lock.
    let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8).split(separator: "\n")[0]
    let left =
      "{\"boot\":\"\(boot)\",\"format\":\"quillan-run-lock\",\"host\":\"h\",\"process\":1,\"since\":1,\"version\":1}\n"
    try folder.write(RunLock.fileName, left.utf8)
    first = try RunLock(folder.path)
    #expect(first?.remark?.contains("process 1 on h, which no longer runs") == true)
    #expect(throws: TrainingError.self) { try RunLock(folder.path) }
  }

  @Test("A lock of another machine is taken over if its time does not advance, and respected otherwise")
  func foreignLock() throws {
    let folder = try Folder()
    let left =
      "{\"boot\":\"other\",\"format\":\"quillan-run-lock\",\"host\":\"node9\",\"process\":77,\"since\":1,\"version\":1}\n"
    try folder.write(RunLock.fileName, left.utf8)
    let path = "\(folder.path)/\(RunLock.fileName)"
    // The shared threads run other tests.
    let (isOver, hasEnded) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    Thread.detachNewThread {
      repeat { utimes(path, nil) } while isOver.wait(timeout: .now() + .milliseconds(50)) == .timedOut
      hasEnded.signal()
    }
    let error = #expect(throws: TrainingError.self) { try RunLock(folder.path) }
    #expect(error?.description.contains("process 77 on node9") == true)
    isOver.signal()
    hasEnded.wait()
    #expect(try RunLock(folder.path).remark?.contains("node9") == true)
  }

  @Test("--resume auto resumes the run with the requested name, even if it got a number")
  func auto() throws {
    let folder = try Folder()
    func make(_ name: String) throws -> String {
      try RunDirectory.create(parent: folder.path, name: name, configuration: RunConfiguration()).path
    }
    func save(_ directory: String) throws {
      try FileManager.default.createDirectory(
        atPath: "\(directory)/checkpoints/step-000001", withIntermediateDirectories: true)
    }
    func found(_ name: String) throws -> String? {
      try ResumeChoice.auto.find(parent: folder.path, name: name).directory
    }
    let first = try make("exp")
    let second = try make("exp-2")
    let third = try make("exp")
    #expect(third.hasSuffix("/exp-3"))
    try save(second)
    #expect(try found("exp") == nil && found("exp-2") == second)
    try save(third)
    #expect(try found("exp") == third)
    try save(first)
    #expect(try found("exp") == first)
    #expect(try found("ex") == nil)
  }

  @Test("An invalid name of a run is rejected with the reason")
  func names() {
    for name in ["a", "exp-2", "läufe", ".hidden", "a b", "x=1,y"] { #expect(RunName.problem(name) == nil, "\(name)") }
    for name in [
      "", ".", "..", "a/b", "/", "a/", "a\0", "a\nb", "\u{1B}[31m", " a", "a ", "/\u{301}",
      String(repeating: "x", count: 241),
    ] { #expect(RunName.problem(name) != nil, "\(name)") }
  }
}
