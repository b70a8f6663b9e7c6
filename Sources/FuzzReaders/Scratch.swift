import Foundation

/// Files in memory that this process alone uses, and removes when it ends.
enum Scratch {
  static let folder: String = {
    let path = "/dev/shm/quillan-fuzz-\(getpid())"
    guard mkdir(path, 0o700) == 0 else { end("\(path) cannot be made; make room in /dev/shm") }
    atexit { try? FileManager.default.removeItem(atPath: Scratch.folder) }
    return path
  }()

  /// Writes a file; returns its path.
  static func write(_ bytes: [UInt8], _ name: String) -> String {
    let path = "\(folder)/\(name)"
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
      end("\(path) cannot be written; make room in /dev/shm")
    }
    return path
  }

  /// Keeps the input that is about to be read where a crash leaves it.
  static func keep(_ input: [UInt8]) {
    _ = FileManager.default.createFile(atPath: crashPath, contents: Data(input))
  }

  static func clear() { unlink(crashPath) }
  private static let crashPath = "/tmp/quillan-fuzz-\(getpid()).input"

  /// The machine's fault, not an input's.
  static func end(_ problem: String) -> Never {
    FileHandle.standardError.write(Data("FuzzReaders: \(problem)\n".utf8))
    exit(1)
  }
}
