import Files
import Foundation

/// A numpy array file (.npy, versions 1 to 3) of floating-point numbers in C order, read some rows at a time.
public final class NumpyFile {
  public let path: String
  public let shape: [Int]
  private let isDouble: Bool
  private let isHalf: Bool
  private let handle: FileHandle

  public var count: Int { Extents.product(shape) ?? 0 }

  /// - Throws: `NumpyError` if the file is not such an array.
  public init(path: String) throws(NumpyError) {
    self.path = path
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw NumpyError(path: path, problem: "cannot be read", remedy: "check the path", isBadData: false)
    }
    self.handle = handle
    func bytes(_ count: Int) throws(NumpyError) -> [UInt8] {
      guard let data = try? handle.read(upToCount: count), data.count == count else {
        throw NumpyError(path: path, problem: "ends inside its header", remedy: "copy it again")
      }
      return Array(data)
    }
    let start = try bytes(8)
    guard start.prefix(6).elementsEqual([0x93] + Array("NUMPY".utf8)), (1...3).contains(start[6]) else {
      throw NumpyError(path: path, problem: "is not a .npy file of version 1 to 3", remedy: "write it with numpy.save")
    }
    let lengthBytes = try bytes(start[6] == 1 ? 2 : 4)
    let length = lengthBytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= 1 << 20 else { throw NumpyError(path: path, problem: "has a header of \(length) bytes") }
    let header = String(decoding: try bytes(length), as: UTF8.self)
    func value(_ key: String) -> Substring? {
      guard let range = header.range(of: "'\(key)':") else { return nil }
      return header[range.upperBound...].drop { $0 == " " }
    }
    guard let type = value("descr"), let order = value("fortran_order"), let extents = value("shape") else {
      throw NumpyError(path: path, problem: "has a header without descr, fortran_order or shape")
    }
    let types = ["'<f4'": 4, "'<f8'": 8, "'<f2'": 2]
    guard let width = types.first(where: { type.hasPrefix($0.key) })?.value else {
      throw NumpyError(path: path, problem: "does not hold little-endian floats", remedy: "save it as float32")
    }
    guard order.hasPrefix("False") else {
      throw NumpyError(path: path, problem: "is in Fortran order", remedy: "save numpy.ascontiguousarray of it")
    }
    guard extents.hasPrefix("("), let end = extents.firstIndex(of: ")") else {
      throw NumpyError(path: path, problem: "has no shape in its header")
    }
    var shape: [Int] = []
    for part in extents[extents.index(after: extents.startIndex)..<end].split(separator: ",") {
      let word = part.trimmingCharacters(in: .whitespaces)
      if word.isEmpty { continue }
      guard let extent = Int(word), extent >= 0 else {
        throw NumpyError(path: path, problem: "has the extent '\(word.prefix(20))' in its shape")
      }
      shape.append(extent)
    }
    // With an extent of 0 the file's size does not bound the other extents.
    guard let elements = Extents.product(shape), elements > 0 || shape.allSatisfy({ $0 <= Self.largestEmptyExtent })
    else { throw NumpyError(path: path, problem: "has the impossible shape \(shape)") }
    let total = elements * width
    self.shape = shape
    isDouble = width == 8
    isHalf = width == 2
    let here = (try? handle.offset()) ?? 0
    let size = (try? handle.seekToEnd()) ?? 0
    try? handle.seek(toOffset: here)
    guard size == here + UInt64(total) else {
      throw NumpyError(
        path: path,
        problem: "has \(size - min(size, here)) bytes of numbers; its shape \(shape) needs \(total)",
        remedy: "copy it again")
    }
    dataStart = here
  }

  private let dataStart: UInt64
  /// The largest extent of an array without numbers.
  package static let largestEmptyExtent = 1 << 20

  /// Calls `body` with the first row and the numbers of one block of rows after another.
  public func eachBlock(rows: Int, columns: Int, _ body: (Int, UnsafeBufferPointer<Float>) throws -> Void) throws {
    let width = isDouble ? 8 : isHalf ? 2 : 4
    let blockRows = max(1, (4 << 20) / max(1, columns))
    try handle.seek(toOffset: dataStart)
    for first in stride(from: 0, to: rows, by: blockRows) {
      let count = min(blockRows, rows - first) * columns
      guard count > 0, let data = try handle.read(upToCount: count * width), data.count == count * width else {
        if count == 0 { return }
        throw NumpyError(path: path, problem: "became shorter while it was read")
      }
      let values: [Float] = data.withUnsafeBytes { bytes in
        (0..<count).map { index in
          if isDouble { return Float(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Double.self)) }
          if isHalf { return Float(bytes.loadUnaligned(fromByteOffset: 2 * index, as: Float16.self)) }
          return bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
        }
      }
      try values.withUnsafeBufferPointer { try body(first, $0) }
    }
  }

  /// Writes an array of fp32 numbers, atomically; `provide` passes the bytes to its sink, in any number of calls.
  public static func write(
    path: String, shape: [Int], policy: OutputPolicy = .own,
    _ provide: (_ sink: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }"
    header += String(repeating: " ", count: (64 - (10 + header.utf8.count + 1) % 64) % 64) + "\n"
    let start = [0x93] + Array("NUMPY".utf8) + [1, 0]
    let length = withUnsafeBytes(of: UInt16(header.utf8.count).littleEndian, Array.init)
    let output = try SafetensorsOutput(path: path, policy: policy)
    try (start + length + Array(header.utf8)).withUnsafeBytes { try output.append($0, tensor: nil) }
    try provide { try output.append($0, tensor: nil) }
    try output.commit()
  }
}
