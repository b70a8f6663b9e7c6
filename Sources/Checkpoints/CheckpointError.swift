import Files
import Formats
import Errors
import Foundation

/// Why a checkpoint could not be read or written: what, where (file, tensor, byte) and what to do about it.
public struct CheckpointError: QuillanError, Equatable {
  public enum Code: String, Sendable {
    /// A file or directory cannot be opened, created, renamed or removed.
    case inaccessible
    /// The operating system failed to read bytes that a file should have.
    case readFailed
    /// A file is shorter or longer than the manifest says.
    case wrongSize
    /// Bytes differ from those that were written: a hash does not match.
    case corrupt
    /// The manifest's text violates the format.
    case malformedManifest
    /// Sizes, holes, overlaps, duplicates or missing parts.
    case inconsistentLayout
    /// A requested tensor is missing.
    case missingTensor
    /// A tensor does not have the requested type or shape.
    case mismatch
    /// Values are NaN or infinite, so no run can resume from them.
    case notFinite
    /// No space (or quota, or file size) left while writing.
    case diskFull
    /// Writing failed for another reason.
    case writeFailed
    /// The request itself is invalid.
    case invalidRequest
  }

  public let code: Code
  public let path: String
  /// The tensor concerned, if any.
  public let tensor: String?
  /// The byte of the file concerned, if any.
  public let offset: Int?
  public let problem: String
  public let remedy: String?

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

  /// Whether the checkpoint's content is at fault (corrupt, incompatible), not the machine.
  public var isCorruptData: Bool {
    switch code {
    case .wrongSize, .corrupt, .malformedManifest, .inconsistentLayout, .missingTensor, .mismatch, .notFinite: true
    case .inaccessible, .readFailed, .diskFull, .writeFailed, .invalidRequest: false
    }
  }

  public var status: ErrorStatus { isCorruptData ? .data : .failure }

  /// File, tensor and byte. Names come from files, so they are shortened and escaped.
  public var place: String? {
    var place = SafetensorsError.printable(path, limit: 400)
    if let tensor { place += ", tensor '\(SafetensorsError.printable(tensor))'" }
    if let offset { place += ", byte \(offset)" }
    return place
  }

  static let damaged = "the checkpoint is damaged; use another one, or copy it again"
}

extension CheckpointError {
  /// Wraps a file-system error raised while reading.
  init(reading fault: FileFault, tensor: String? = nil, offset: Int? = nil) {
    let isMissing = fault.number == ENOENT || fault.number == ENOTDIR
    // The medium lost the bytes, or the path is not a file: this checkpoint is lost, others may be usable.
    let isDamage = [EIO, EINVAL, EISDIR, ELOOP, EBADMSG, EUCLEAN].contains(fault.number)
    self.init(
      isMissing ? .inaccessible : isDamage ? .corrupt : .readFailed, path: fault.path, tensor: tensor, offset: offset,
      problem: fault.problem,
      remedy: isMissing ? "check the path" : isDamage ? Self.damaged : "check the disk and the permissions")
  }

  /// Wraps a file-system error raised while writing.
  init(writing fault: FileFault, tensor: String? = nil, offset: Int? = nil) {
    self.init(
      fault.isFull ? .diskFull : .writeFailed, path: fault.path, tensor: tensor, offset: offset,
      problem: "\(fault.problem); checkpoints written before are unchanged",
      remedy: fault.isFull
        ? "free some space, lower checkpoint.keep or choose another directory" : "check the disk and the directory")
  }
}
