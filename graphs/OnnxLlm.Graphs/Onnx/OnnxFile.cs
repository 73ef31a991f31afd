using System.Collections.Immutable;
using System.Globalization;
using Google.Protobuf;

namespace OnnxLlm.Graphs.Onnx;

/// <summary>Where a tensor lies that is not in its model's file.</summary>
public sealed record ExternalTensor(string Name, ElementType Type, ImmutableArray<long> Shape, string Path, long Offset, long Length);

/// <summary>Reads and writes ONNX files. Tensors move to a second file, <c>NAME.data</c>, when the model would pass protobuf's limit of 2 GiB.</summary>
public static class OnnxFile
{
    /// <summary>Behind the name of a model's file, the name of that second one.</summary>
    public const string DataSuffix = ".data";

    /// <summary>Initializers beyond this many bytes go to the external file; below the hard limit of 2^31, so that the graph itself still fits.</summary>
    public const long ExternalThreshold = 1_900_000_000;

    /// <summary>The ONNX recommendation: offsets that can be memory-mapped.</summary>
    private const int Alignment = 4096;

    public static void Write(Graph graph, string path, WeightSource? weights = null) => Write(OnnxWriter.Write(graph, weights), path);

    /// <summary>Writes to a temporary file first, so that a reader never sees half a model.</summary>
    public static void Write(ModelProto model, string path, long externalThreshold = ExternalThreshold)
    {
        if (model.Graph.Initializer.Sum(t => (long)t.RawData.Length) > externalThreshold) model = MoveOut(model, path + DataSuffix);
        string temporary = path + ".tmp";
        using (var stream = File.Create(temporary))
        {
            model.WriteTo(stream);
            stream.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
    }

    public static byte[] ToBytes(Graph graph, WeightSource? weights = null) => OnnxWriter.Write(graph, weights).ToByteArray();

    /// <summary>Reads a model; tensors in an external file are brought into memory. A location outside the model's folder is refused.</summary>
    public static ModelProto Read(string path)
    {
        var model = Parse(path);
        foreach (var tensor in model.Graph.Initializer.Where(IsExternal)) MoveIn(tensor, path);
        return model;
    }

    /// <summary>A model without its tensors that lie in an external file, and those. A location outside the model's folder is refused.</summary>
    public static (ModelProto Model, IReadOnlyList<ExternalTensor> Tensors) ReadGraph(string path)
    {
        var model = Parse(path);
        return (model, [.. model.Graph.Initializer.Where(IsExternal).Select(tensor => Place(tensor, path))]);
    }

    private static bool IsExternal(TensorProto tensor) => tensor.DataLocation == TensorProto.Types.DataLocation.External;

    private static ModelProto Parse(string path)
    {
        ModelProto model;
        try
        {
            using var stream = File.OpenRead(path);
            model = ModelProto.Parser.ParseFrom(stream);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GraphException($"{path} is not an ONNX file, or it is damaged: {e.Message}");
        }
        return model.Graph is null ? throw new GraphException($"{path} is not an ONNX file: it holds no graph.") : model;
    }

    private static ModelProto MoveOut(ModelProto model, string dataPath)
    {
        var copy = new ModelProto(model);
        using var stream = File.Create(dataPath);
        foreach (var tensor in copy.Graph.Initializer.Where(t => t.RawData.Length >= Alignment))
        {
            stream.SetLength(stream.Position = (stream.Position + Alignment - 1) / Alignment * Alignment);
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            tensor.ExternalData.Add(Entry("location", Path.GetFileName(dataPath)));
            tensor.ExternalData.Add(Entry("offset", stream.Position.ToString(CultureInfo.InvariantCulture)));
            tensor.ExternalData.Add(Entry("length", tensor.RawData.Length.ToString(CultureInfo.InvariantCulture)));
            stream.Write(tensor.RawData.Span);
            tensor.ClearRawData();
        }
        stream.Flush(flushToDisk: true);
        return copy;
    }

    private static void MoveIn(TensorProto tensor, string modelPath)
    {
        var place = Place(tensor, modelPath);
        using var stream = File.OpenRead(place.Path);
        stream.Position = place.Offset;
        byte[] bytes = new byte[place.Length];
        stream.ReadExactly(bytes);
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(bytes);
        tensor.ExternalData.Clear();
        tensor.ClearDataLocation();
    }

    private static ExternalTensor Place(TensorProto tensor, string modelPath)
    {
        string location = tensor.ExternalData.FirstOrDefault(e => e.Key == "location")?.Value ?? "";
        if (location.Length == 0 || Path.IsPathRooted(location) || location.Split('/', '\\').Contains(".."))
            throw new GraphException($"Tensor '{tensor.Name}' of {modelPath} lies at '{location}', which is not a file beside the model.");
        string path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelPath))!, location);
        long offset = Number("offset", 0);
        return new(tensor.Name, (ElementType)tensor.DataType, [.. tensor.Dims], path, offset, Number("length", new FileInfo(path).Length - offset));

        long Number(string key, long otherwise) =>
            tensor.ExternalData.FirstOrDefault(e => e.Key == key)?.Value is { } text ? long.Parse(text, CultureInfo.InvariantCulture) : otherwise;
    }

    private static StringStringEntryProto Entry(string key, string value) => new() { Key = key, Value = value };
}
