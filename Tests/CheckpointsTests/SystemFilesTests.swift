import Checkpoints
import Files
import Foundation
import Testing

/// Saving among foreign files in a run's folder.
@Suite("The system's files")
struct SystemFilesTests {
  /// A folder `run` with checkpoints, and a folder beside it that must not change.
  private final class Place {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-store-\(UUID().uuidString)").path
    let store: CheckpointStore
    let files: SystemFiles

    init() throws {
      for name in ["run/checkpoints", "outside"] {
        try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
      }
      try Data("thesis".utf8).write(to: URL(fileURLWithPath: "\(root)/outside/thesis.tex"))
      try Data("shard".utf8).write(to: URL(fileURLWithPath: "\(root)/outside/model.qck"))
      files = SystemFiles(below: "\(root)/run")
      store = CheckpointStore(path: "\(root)/run/checkpoints", files: files)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func link(_ name: String) throws {
      try FileManager.default.createSymbolicLink(
        atPath: "\(root)/run/checkpoints/\(name)", withDestinationPath: "../../outside")
    }

    func save(_ step: Int) throws { try TinyCheckpoint(seed: 1).save(to: store, step: step, files: files) }

    func names(_ path: String = "run/checkpoints") throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(path)").sorted()
    }
  }

  @Test("Links with the names of drafts, removed checkpoints and checkpoints are not followed")
  func links() throws {
    let place = try Place()
    try place.save(1)
    for name in [
      ".step-000009.partial", ".step-000009.0123.partial", ".step-000008.removed", "step-000000", "step-000000-2",
    ] { try place.link(name) }
    for step in 2...5 {
      try place.save(step)
      #expect(place.store.prune(keep: 1, milestones: 0).remarks == [])
    }
    #expect(try place.names("outside") == ["model.qck", "thesis.tex"])
    #expect(try place.store.checkpoints().map { Path($0).name } == ["step-000005", "step-000000-2", "step-000000"])
  }

  @Test("Drafts of a process that has ended are removed, but not foreign files in them")
  func drafts() throws {
    let place = try Place()
    for (draft, files) in [
      (".step-000003.partial", ["model.qck"]), (".step-000004.ab.partial", ["model.qck", "notes.txt"]),
    ] {
      let path = "\(place.root)/run/checkpoints/\(draft)"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      for file in files { try Data().write(to: URL(fileURLWithPath: "\(path)/\(file)")) }
    }
    try Data().write(to: URL(fileURLWithPath: "\(place.root)/run/checkpoints/.latest.partial"))
    try place.save(5)
    #expect(try place.names() == [".step-000004.ab.partial", "latest", "step-000005"])
    #expect(try place.names("run/checkpoints/.step-000004.ab.partial") == ["notes.txt"])
  }

  @Test("A checkpoint with foreign files is kept with a remark, and saving continues")
  func stranger() throws {
    let place = try Place()
    try place.save(1)
    try FileManager.default.createDirectory(
      atPath: "\(place.root)/run/checkpoints/step-000001/notes", withIntermediateDirectories: true)
    for step in 2...4 { try place.save(step) }
    let pruning = place.store.prune(keep: 1, milestones: 0)
    #expect(pruning.removed == ["step-000003", "step-000002"])
    #expect(pruning.remarks.count == 1 && pruning.remarks[0].contains("step-000001 is kept: 'notes'"))
    #expect(try place.names() == ["latest", "step-000001", "step-000004"])
    _ = try CheckpointReader("\(place.root)/run/checkpoints/step-000001")
  }

  @Test("A link in place of the checkpoint directory is not followed")
  func linkedDirectory() throws {
    let place = try Place()
    try FileManager.default.removeItem(atPath: "\(place.root)/run/checkpoints")
    try FileManager.default.createSymbolicLink(
      atPath: "\(place.root)/run/checkpoints", withDestinationPath: "../outside")
    #expect(throws: CheckpointError.self) { try place.save(1) }
    #expect(try place.names("outside") == ["model.qck", "thesis.tex"])
  }
}
