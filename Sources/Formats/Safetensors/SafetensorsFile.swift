import Foundation

/// A safetensors file open for reading.
///
/// Opening reads and validates only the header (see `SafetensorsHeader`). Tensors are read one at a time on request, so
/// a file needs no more memory than its largest tensor. Positioned reads are used instead of a memory map: a file that
/// shrinks while it is open causes an error, not a signal. Threads may share an instance.
public final class SafetensorsFile: Sendable {
  /// One tensor of the file.
  public struct Entry: Sendable, Equatable {
    public let dataType: SafetensorsDataType
    public let shape: [Int]
    /// The tensor's bytes, counted from the start of the file.
    public let byteRange: Range<Int>

    public var elementCount: Int { byteRange.count / dataType.byteCount }
  }

  public let path: String
  /// Every tensor by name.
  public let tensors: [String: Entry]
  /// The strings under `__metadata__`.
  public let metadata: [String: String]

  private let descriptor: Int32

  /// Opens `path` and checks its header against its size.
  public init(path: String) throws(SafetensorsError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw SafetensorsError(
        code: .inaccessible, path: path, problem: "cannot open the file (\(String(cString: strerror(errno))))",
        remedy: "check the path and its permissions")
    }
    do {
      let header = try Self.header(path: path, descriptor: descriptor)
      tensors = header.tensors
      metadata = header.metadata
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  /// The entry of `name`.
  ///
  /// - Throws: `SafetensorsError.Code.missingTensor`.
  public func entry(_ name: String) throws(SafetensorsError) -> Entry {
    guard let entry = tensors[name] else {
      throw SafetensorsError(
        code: .missingTensor, path: path, tensor: name, problem: "the file has no such tensor",
        remedy: "use a file written for this model (this file has \(tensors.count) tensors)")
    }
    return entry
  }

  /// Reads the tensor's bytes into `target`, which must be of exactly that size.
  public func read(_ name: String, into target: UnsafeMutableRawBufferPointer) throws(SafetensorsError) {
    let entry = try entry(name)
    precondition(
      target.count == entry.byteRange.count,
      "tensor '\(name)' has \(entry.byteRange.count) bytes, the buffer \(target.count)")
    try Self.read(
      target, at: entry.byteRange.lowerBound, path: path, tensor: name, descriptor: descriptor)
  }

  /// Calls `body` with the tensor's bytes, aligned for any element type and valid during the call only.
  public func withBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let count = try entry(name).byteRange.count
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
    defer { buffer.deallocate() }
    try read(name, into: buffer)
    return try body(UnsafeRawBufferPointer(buffer))
  }

  /// The tensor's elements as fp32, row-major. F32 is copied, F16 and BF16 are widened exactly.
  ///
  /// - Throws: `SafetensorsError.Code.mismatch` for any other element type.
  public func floats(_ name: String) throws(SafetensorsError) -> [Float] {
    let entry = try entry(name)
    switch entry.dataType {
    case .float32:
      return try elements(name, count: entry.elementCount, as: UInt32.self) {
        Float(bitPattern: UInt32(littleEndian: $0))
      }
    case .float16:
      return try elements(name, count: entry.elementCount, as: UInt16.self) {
        Float(Float16(bitPattern: UInt16(littleEndian: $0)))
      }
    case .bfloat16:
      return try elements(name, count: entry.elementCount, as: UInt16.self) {
        Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16)
      }
    default:
      throw SafetensorsError(
        code: .mismatch, path: path, tensor: name, offset: entry.byteRange.lowerBound,
        problem: "its elements are \(entry.dataType.rawValue), not floating point of 16 or 32 bits",
        remedy: "use a file written for this model")
    }
  }

  private func elements<Stored>(
    _ name: String, count: Int, as type: Stored.Type, _ convert: (Stored) -> Float
  ) throws(SafetensorsError) -> [Float] {
    let buffer = UnsafeMutableBufferPointer<Stored>.allocate(capacity: count)
    defer { buffer.deallocate() }
    try read(name, into: UnsafeMutableRawBufferPointer(buffer))
    return buffer.map(convert)
  }
}

extension SafetensorsFile {
  private static func header(path: String, descriptor: Int32) throws(SafetensorsError) -> SafetensorsHeader {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw SafetensorsError(
        code: .inaccessible, path: path, problem: "not a regular file", remedy: "name a safetensors file")
    }
    let fileByteCount = Int(status.st_size)
    guard fileByteCount >= 8 else {
      throw SafetensorsError(
        code: .truncated, path: path, offset: fileByteCount, problem: "the file ends before its header length",
        remedy: "the file is truncated or not safetensors; copy or write it again")
    }
    var stored: UInt64 = 0
    let lengthFailure: SafetensorsError? = withUnsafeMutableBytes(of: &stored) { target in
      do throws(SafetensorsError) {
        try read(target, at: 0, path: path, tensor: nil, descriptor: descriptor)
        return nil
      } catch {
        return error
      }
    }
    if let lengthFailure { throw lengthFailure }
    let length = UInt64(littleEndian: stored)
    guard length <= SafetensorsHeader.maximumByteCount else {
      throw SafetensorsError(
        code: .malformedHeader, path: path, offset: 0,
        problem: "a header of \(length) bytes exceeds \(SafetensorsHeader.maximumByteCount)",
        remedy: "the file is damaged or not safetensors; write or fetch it again")
    }
    guard Int(length) <= fileByteCount - 8 else {
      throw SafetensorsError(
        code: .truncated, path: path, offset: fileByteCount,
        problem: "the file ends here, but its header ends at byte \(8 + length)",
        remedy: "the file is truncated or not safetensors; copy or write it again")
    }
    let json = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(length), alignment: 16)
    defer { json.deallocate() }
    try read(json, at: 8, path: path, tensor: nil, descriptor: descriptor)
    return try SafetensorsHeader(path: path, json: UnsafeRawBufferPointer(json), fileByteCount: fileByteCount)
  }

  private static func read(
    _ target: UnsafeMutableRawBufferPointer, at start: Int, path: String, tensor: String?, descriptor: Int32
  ) throws(SafetensorsError) {
    var done = 0
    while done < target.count {
      // A read is limited to 2 GiB on Linux.
      let wanted = min(target.count - done, 1 << 30)
      let count = pread(descriptor, target.baseAddress! + done, wanted, off_t(start + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        throw SafetensorsError(
          code: count == 0 ? .truncated : .readFailed, path: path, tensor: tensor, offset: start + done,
          problem: count == 0
            ? "the file became shorter while it was read" : "cannot read (\(String(cString: strerror(errno))))",
          remedy: count == 0 ? "do not change a file that is in use; copy or write it again" : "check the disk")
      }
      done += count
    }
  }
}
