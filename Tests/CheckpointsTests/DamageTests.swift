import Checkpoints
import Testing

/// Damage of any kind is detected before a value is used.
@Suite("Damaged checkpoints")
struct DamageTests {
  private func saved() throws -> (MemoryFiles, String, TinyCheckpoint) {
    let files = MemoryFiles()
    let tiny = TinyCheckpoint(seed: 7)
    let path = try tiny.save(to: CheckpointStore(path: "c", files: files), step: 1, files: files)
    return (files, path, tiny)
  }

  /// The error of reading everything.
  private func failure(_ files: MemoryFiles, _ path: String) -> CheckpointError? {
    do {
      _ = try TinyCheckpoint.read(CheckpointReader(path, files: files))
      return nil
    } catch { return error as? CheckpointError }
  }

  @Test("A flipped bit in any byte of any file is detected, with the file and, if it is in one, the tensor")
  func bits() throws {
    let (files, path, tiny) = try saved()
    let contents = files.contents.filter { $0.key.hasPrefix(path) }
    #expect(failure(files, path) == nil)
    #expect(try tiny.read(path, files: files) == tiny.content)
    var cases = 0
    for (name, bytes) in contents {
      for index in bytes.indices {
        var damaged = bytes
        damaged[index] ^= 1 << UInt8((index * 7 + 3) % 8)
        files.set(name, damaged)
        let error = failure(files, path)
        #expect(error?.isCorruptData == true, "\(name), byte \(index)")
        #expect(error?.path == name)
        if name.hasSuffix(".qck"), index >= Shard.header.count {
          #expect(error?.tensor != nil && error?.offset != nil, "\(name), byte \(index)")
        }
        cases += 1
      }
      files.set(name, bytes)
    }
    #expect(cases >= 2000)
  }

  @Test("A file that is cut at any byte, lengthened or missing is detected")
  func truncation() throws {
    let (files, path, _) = try saved()
    for (name, bytes) in files.contents where name.hasPrefix(path) {
      for length in 0..<bytes.count {
        files.set(name, Array(bytes.prefix(length)))
        #expect(failure(files, path)?.path == name, "\(name) cut to \(length)")
      }
      files.set(name, bytes + [0])
      #expect(failure(files, path)?.path == name)
      files.set(name, bytes)
      let moved = name + ".away"
      try files.rename(name, to: moved)
      #expect(failure(files, path) != nil)
      try files.rename(moved, to: name)
    }
    #expect(failure(files, path) == nil)
  }

  @Test("Exchanging two files of equal length is detected")
  func exchanged() throws {
    let (files, path, _) = try saved()
    let names = ["\(path)/experts-0-1.qck", "\(path)/experts-2-3.qck"]
    let contents = files.contents
    files.set(names[0], contents[names[1]] ?? [])
    files.set(names[1], contents[names[0]] ?? [])
    #expect(failure(files, path)?.isCorruptData == true)
  }
}
