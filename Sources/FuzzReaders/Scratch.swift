import Foundation

/// Files in memory, private to this process and removed when it exits.
enum Scratch {
  static let folder: String = {
    let path = "/dev/shm/quillan-fuzz-\(getpid())"
    guard mkdir(path, 0o700) == 0 else { end("\(path): cannot be created; free space in /dev/shm") }
    atexit { try? FileManager.default.removeItem(atPath: Scratch.folder) }
    return path
  }()

  /// Writes a file; returns its path.
  static func write(_ bytes: [UInt8], _ name: String) -> String {
    let path = "\(folder)/\(name)"
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
      end("\(path): cannot be written; free space in /dev/shm")
    }
    return path
  }

  /// Saves the input before it is read, so that it survives a crash.
  static func keep(_ input: [UInt8]) {
    _ = FileManager.default.createFile(atPath: crashPath, contents: Data(input))
  }

  static func clear() { unlink(crashPath) }
  private static let crashPath = "/tmp/quillan-fuzz-\(getpid()).input"

  /// Ends the program because of an error of the environment or the command line, not of an input.
  static func end(_ problem: String) -> Never {
    FileHandle.standardError.write(Data("FuzzReaders: \(problem)\n".utf8))
    exit(1)
  }
}
