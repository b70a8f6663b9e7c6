import Exports
import Files
import Foundation

/// Why a checkpoint could not be read or written: what, where (file, tensor, byte) and what to do about it.
public struct CheckpointError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// A file or directory cannot be opened, created, renamed or removed.
    case inaccessible
    /// The operating system failed to read bytes that a file should have.
    case readFailed
    /// A file is shorter or longer than the manifest says.
    case wrongSize
    /// Bytes are not those that were written: a hash differs.
    case corrupt
    /// The manifest's text is not what the format allows.
    case malformedManifest
    /// Sizes, holes, overlaps, duplicates or missing parts.
    case inconsistentLayout
    /// A tensor that was asked for is not there.
    case missingTensor
    /// A tensor has another type or shape than was asked for.
    case mismatch
    /// Numbers that no run can go on with.
    case notFinite
    /// No space (or quota, or file size) left while writing.
    case diskFull
    /// Another failure while writing.
    case writeFailed
    /// The request itself cannot be met.
    case invalidRequest
  }

  public let code: Code
  public let path: String
  /// The tensor concerned, where there is one.
  public let tensor: String?
  /// The byte of the file concerned, where there is one.
  public let offset: Int?
  public let problem: String
  public let remedy: String

  public init(
    _ code: Code, path: String, tensor: String? = nil, offset: Int? = nil, problem: String, remedy: String
  ) {
    self.code = code
    self.path = path
    self.tensor = tensor
    self.offset = offset
    self.problem = problem
    self.remedy = remedy
  }

  /// Whether the checkpoint's content is at fault (corrupt, incompatible), rather than the machine it lies on.
  public var isCorruptData: Bool {
    switch code {
    case .wrongSize, .corrupt, .malformedManifest, .inconsistentLayout, .missingTensor, .mismatch, .notFinite: true
    case .inaccessible, .readFailed, .diskFull, .writeFailed, .invalidRequest: false
    }
  }

  /// One line: file, tensor, byte, problem, remedy. Names come from files, so they are shortened and escaped.
  public var description: String {
    var place = SafetensorsError.printable(path, limit: 400)
    if let tensor { place += ", tensor '\(SafetensorsError.printable(tensor))'" }
    if let offset { place += ", byte \(offset)" }
    return "\(place): \(problem); \(remedy)"
  }

  static let damaged = "the checkpoint is damaged; use another one, or copy it again"
}

extension CheckpointError {
  /// The error that a fault of the file layer is, on the way of reading.
  init(reading fault: FileFault, tensor: String? = nil, offset: Int? = nil) {
    let isMissing = fault.number == ENOENT || fault.number == ENOTDIR
    // A medium that lost the bytes, or something else in a file's place: this checkpoint is lost, others need not be.
    let isDamage = [EIO, EINVAL, EISDIR, ELOOP, EBADMSG, EUCLEAN].contains(fault.number)
    self.init(
      isMissing ? .inaccessible : isDamage ? .corrupt : .readFailed, path: fault.path, tensor: tensor, offset: offset,
      problem: fault.problem,
      remedy: isMissing ? "check the path" : isDamage ? Self.damaged : "check the disk and the permissions")
  }

  /// The error that a fault of the file layer is, on the way of writing.
  init(writing fault: FileFault, tensor: String? = nil, offset: Int? = nil) {
    self.init(
      fault.isFull ? .diskFull : .writeFailed, path: fault.path, tensor: tensor, offset: offset,
      problem: "\(fault.problem); checkpoints written before are unchanged",
      remedy: fault.isFull
        ? "free some space, lower checkpoint.keep or choose another directory" : "check the disk and the directory")
  }
}
