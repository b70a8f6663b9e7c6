import Checkpoints
import Testing

/// A save that is interrupted at any operation leaves the old or the new checkpoint complete, never a mixture.
@Suite("Crashes and full disks while saving")
struct CrashTests {
  private let old = TinyCheckpoint(seed: 1)
  private let new = TinyCheckpoint(seed: 2)

  private func prepared() throws -> (MemoryFiles, CheckpointStore) {
    let files = MemoryFiles()
    let store = CheckpointStore(path: "checkpoints", files: files)
    try old.save(to: store, step: 10, files: files)
    return (files, store)
  }

  private func saveAndPrune(_ files: MemoryFiles, _ store: CheckpointStore) throws {
    try new.save(to: store, step: 20, files: files)
    let pruning = store.prune(keep: 1, milestones: 0)
    // A fault while pruning does not fail a save; here it counts like other faults.
    guard pruning.remarks.isEmpty else {
      throw CheckpointError(.diskFull, path: "", problem: pruning.remarks[0], remedy: "free some space")
    }
  }

  /// The number of operations of a save without faults.
  private func operations() throws -> Int {
    let (files, store) = try prepared()
    files.arm(.none, at: 0)
    try saveAndPrune(files, store)
    return files.operations
  }

  /// The newest complete checkpoint, which a resumed run would use.
  private func newest(_ files: MemoryFiles, _ store: CheckpointStore) throws -> (step: Int, content: [String: [UInt8]])?
  {
    for path in try store.checkpoints() {
      do {
        let reader = try CheckpointReader(path, files: files)
        return (reader.manifest.step, try TinyCheckpoint.read(reader))
      } catch is CheckpointError { continue }
    }
    return nil
  }

  @Test("A crash at any write, sync, rename or removal, with any loss of unsynced data, leaves a complete checkpoint")
  func everyPoint() throws {
    let count = try operations()
    #expect(count > 40)
    var seen: Set<Int> = []
    for number in 0...count {
      for partial in [0, 3] {
        for (share, names) in [(0.0, false), (0.0, true), (0.5, true), (1.0, true), (1.0, false)] {
          let (files, store) = try prepared()
          files.arm(.crash(afterWriting: partial), at: number)
          do {
            try saveAndPrune(files, store)
            #expect(number >= count)
          } catch { #expect(error is CheckpointError) }
          files.restart(keepingBytes: share, keepingNames: names)
          let found = try #require(try newest(files, store), "crash at \(number)")
          seen.insert(found.step)
          #expect(found.content == (found.step == 10 ? old.content : new.content), "crash at \(number)")
          // Leftovers do not disturb the next save.
          try new.save(to: store, step: 30, files: files)
          #expect(try newest(files, store)?.step == 30)
          #expect(try files.names(in: "checkpoints").allSatisfy { !$0.hasPrefix(".") })
        }
      }
    }
    #expect(seen == [10, 20])
  }

  @Test("A full disk at any operation is a clear error, and the old checkpoint stays")
  func fullDisk() throws {
    let count = try operations()
    var failures = 0
    for number in 0..<count {
      let (files, store) = try prepared()
      files.arm(.full, at: number)
      do { try saveAndPrune(files, store) } catch let error as CheckpointError {
        failures += 1
        #expect(error.code == .diskFull)
        #expect(error.description.contains("free some space"))
        store.abandon(step: 20)
      }
      #expect(
        try newest(files, store).map { $0.step == 10 ? $0.content == old.content : $0.content == new.content } == true)
      files.arm(.none, at: 0)
      try new.save(to: store, step: 30, files: files)
      #expect(try newest(files, store)?.step == 30)
    }
    #expect(failures > 20)
  }

  @Test("A system that writes one byte at a time gives the same files")
  func shortWrites() throws {
    let (files, store) = try prepared()
    files.arm(.short, at: 0)
    try new.save(to: store, step: 20, files: files)
    let (others, other) = try prepared()
    try new.save(to: other, step: 20, files: others)
    #expect(files.contents == others.contents)
  }
}
