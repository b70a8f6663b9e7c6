/// Gives the parts of a `RecordValue` to a record's `init(from:)`.
struct RecordDecoder: Decoder {
  let value: RecordValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func read<Value: Decodable>(_ type: Value.Type) throws -> Value {
    guard let primitive = type as? any RecordPrimitive.Type else { return try Value(from: self) }
    guard let result = primitive.init(value) as? Value else { throw mismatch("\(type)") }
    return result
  }

  private func mismatch(_ expected: String) -> DecodingError {
    .dataCorrupted(.init(codingPath: codingPath, debugDescription: "\(value.name) is not \(expected)"))
  }

  func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .fields(let fields) = value else { throw mismatch("a record with fields") }
    return KeyedDecodingContainer(Fields<Key>(fields: fields, codingPath: codingPath))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .list(let values) = value else { throw mismatch("a list") }
    return List(values: values, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { Single(decoder: self) }

  private struct Single: SingleValueDecodingContainer {
    let decoder: RecordDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.value == .none }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try decoder.read(type) }
  }

  private struct Fields<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let fields: [String: RecordValue]
    let codingPath: [any CodingKey]
    var allKeys: [Key] { fields.keys.sorted().compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool { fields[key.stringValue] != nil }

    private func decoder(_ key: any CodingKey) throws -> RecordDecoder {
      guard let value = fields[key.stringValue] else {
        throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: ""))
      }
      return RecordDecoder(value: value, codingPath: codingPath + [key])
    }

    func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).value == .none }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try decoder(key).read(type) }

    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try decoder(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try decoder(SuperKey()) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
  }

  private struct List: UnkeyedDecodingContainer {
    let values: [RecordValue]
    let codingPath: [any CodingKey]
    private(set) var currentIndex = 0
    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex == values.count }

    init(values: [RecordValue], codingPath: [any CodingKey]) {
      self.values = values
      self.codingPath = codingPath
    }

    private func current() throws -> RecordDecoder {
      let path = codingPath + [RecordIndex(currentIndex)]
      guard !isAtEnd else {
        throw DecodingError.dataCorrupted(.init(codingPath: path, debugDescription: "the list ends early"))
      }
      return RecordDecoder(value: values[currentIndex], codingPath: path)
    }

    /// Decodes the current element and, if that succeeds, moves to the next one.
    private mutating func next<Value>(_ body: (RecordDecoder) throws -> Value) throws -> Value {
      let result = try body(current())
      currentIndex += 1
      return result
    }

    mutating func decodeNil() throws -> Bool {
      guard try current().value == .none else { return false }
      currentIndex += 1
      return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next { try $0.read(type) } }

    mutating func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try next { try $0.container(keyedBy: type) } }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
      try next { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder { try next { $0 } }
  }
}
