/// One token per byte: ids 0 … 255 are the bytes, 256 ends, 257 begins and 258 pads a text.
public struct ByteTokenizer: Tokenizer {
  public let vocabularySize = 259
  public let endToken: Int32 = 256
  public let padToken: Int32 = 258

  public let specialTokens: [String: Int32] = ["<|end|>": 256, "<|begin|>": 257, "<|pad|>": 258]

  public init() {}

  public func encode(bytes: [UInt8]) -> [Int32] { bytes.map(Int32.init) }

  public func decodeBytes(_ ids: [Int32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(ids.count)
    for id in ids {
      if let byte = UInt8(exactly: id) {
        bytes.append(byte)
      } else if !(endToken...padToken).contains(id) {
        bytes.append(contentsOf: replacementBytes)
      }
    }
    return bytes
  }
}
