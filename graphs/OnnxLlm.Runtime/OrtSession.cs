using System.Collections.Frozen;
using System.Collections.Immutable;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Runtime.Kernels;
using OnnxLlm.Runtime.Memory;

namespace OnnxLlm.Runtime;

/// <summary>
/// One loaded model in ONNX Runtime: sequential execution on one device.
/// Nothing is logged; what goes wrong is thrown as <see cref="ModelRuntimeException"/> with the runtime's own message.
/// Runs may overlap from several threads only through separate bindings.
/// </summary>
public sealed class OrtSession : IDisposable
{
    private static readonly OrtEnv Environment = CreateEnvironment();
    private static readonly Lock FirstLoad = new();
    private static volatile bool _knowsKernels;

    private readonly InferenceSession _session;
    private readonly FrozenDictionary<string, TensorInfo> _inputs, _outputs;
    private readonly bool _captures;
    private readonly ExternalWeights? _weights;
    private int _bindings;

    /// <summary>Loads a serialized model of at most 2 GB without external data.</summary>
    public OrtSession(byte[] model, SessionSettings settings)
        : this("a model in memory", settings, options => new InferenceSession(model, options)) { }

    /// <summary>Loads a model file; external data is looked for beside it, and read.</summary>
    public OrtSession(string path, SessionSettings settings)
        : this(path, settings, options => new InferenceSession(path, options), ExternalWeights.Read(path, settings)) { }

    /// <summary>Loads a model that was read from a file, and its tensors that still lie in another.</summary>
    internal OrtSession(string path, ModelProto model, IReadOnlyList<ExternalTensor> tensors, SessionSettings settings)
        : this(path, settings, options => Create(path, model, options), ModelRuntimeException.Reading(() => ExternalWeights.Read(model.Graph, tensors, settings))) { }

    private OrtSession(string name, SessionSettings settings, Func<SessionOptions, InferenceSession> load, ExternalWeights? weights = null)
    {
        (Device, GivesBackMemory, _captures, _weights) = (settings.Device, settings.GivesBackMemory, settings.Capture && settings.Device.IsCuda, weights);
        if (GivesBackMemory) NativeHeap.KeepLargeBlocksApart();
        using CudaGate.Hold held = GateOf(Device);
        using SessionOptions options = Options(settings);
        try
        {
            weights?.AddTo(options);
            _session = Try($"ONNX Runtime cannot load {name}", () => Load(settings, () => load(options)));
        }
        catch
        {
            weights?.Dispose();
            throw;
        }
        Inputs = Describe(_session.InputNames, _session.InputMetadata);
        OptionalInputs = Describe([.. _session.OverridableInitializerMetadata.Keys.Order(StringComparer.Ordinal)], _session.OverridableInitializerMetadata);
        Outputs = Describe(_session.OutputNames, _session.OutputMetadata);
        _inputs = Inputs.Concat(OptionalInputs).ToFrozenDictionary(info => info.Name);
        _outputs = Outputs.ToFrozenDictionary(info => info.Name);
    }

    /// <summary>Version of the native library, for run records.</summary>
    public static string RuntimeVersion => Environment.GetVersionString();

    /// <summary>The providers that the native library was built with, by ONNX Runtime's names.</summary>
    public static IReadOnlyList<string> Providers => Environment.GetAvailableProviders();

    /// <summary>Where it computes; the buffers that are bound to it lie there too.</summary>
    public Device Device { get; }

    /// <inheritdoc cref="SessionSettings.GivesBackMemory"/>
    internal bool GivesBackMemory { get; }

    public IReadOnlyList<TensorInfo> Inputs { get; }

    /// <summary>Inputs that have a value where none is bound.</summary>
    public IReadOnlyList<TensorInfo> OptionalInputs { get; }

    public IReadOnlyList<TensorInfo> Outputs { get; }

    /// <summary>Runs once and copies every output into a new buffer that the caller disposes. For tests and tools; loops use <see cref="Bind"/>.</summary>
    public IReadOnlyDictionary<string, TensorBuffer> Run(IReadOnlyDictionary<string, TensorBuffer> feeds)
    {
        using BoundSession bound = Bind();
        foreach ((string name, TensorBuffer buffer) in feeds)
            bound.Input(name, buffer);
        return bound.RunAndCopy();
    }

    /// <summary>A new set of bound buffers; the session must outlive it.</summary>
    public BoundSession Bind() => new(this, _session, _captures ? Interlocked.Increment(ref _bindings) : 0);

    /// <summary>Completes the profile started by <see cref="SessionSettings.ProfilePrefix"/> and returns its path.</summary>
    public string EndProfiling() => Try("Profiling", _session.EndProfiling);

    public void Dispose()
    {
        using CudaGate.Hold held = GateOf(Device);
        _session.Dispose();
        _weights?.Dispose();
    }

    internal TensorInfo Input(string name) => _inputs.TryGetValue(name, out TensorInfo? info) ? info : throw Missing("input", name, Inputs);

    internal TensorInfo Output(string name) => _outputs.TryGetValue(name, out TensorInfo? info) ? info : throw Missing("output", name, Outputs);

    internal static T Try<T>(string what, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (OnnxRuntimeException error)
        {
            throw new ModelRuntimeException($"{what}: {error.Message}", error);
        }
    }

    /// <summary>
    /// The first session with our kernels enters their domain into a table of the process. The runtime looks whether it is there and then adds it, which fails when
    /// two sessions do so at the same time; so sessions are made one by one until it is there.
    /// </summary>
    private static InferenceSession Load(SessionSettings settings, Func<InferenceSession> load)
    {
        if (_knowsKernels || !settings.Kernels) return load();
        lock (FirstLoad)
        {
            InferenceSession session = load();
            _knowsKernels = true;
            return session;
        }
    }

    /// <summary>A session takes and gives back memory of its device as it is made and unmade; asking for the provider already does.</summary>
    private static CudaGate.Hold GateOf(Device device) => device.IsCuda ? CudaRuntime.Of(device).Gate.Together() : default;

    /// <summary>It looks for files of tensors, also of those that it is given.</summary>
    private static InferenceSession Create(string path, ModelProto model, SessionOptions options)
    {
        options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", Path.GetDirectoryName(path));
        return new InferenceSession(model.ToByteArray(), options);
    }

    private static ModelRuntimeException Missing(string kind, string name, IReadOnlyList<TensorInfo> all) =>
        new($"The model has no {kind} {name}; it has {string.Join(", ", all.Take(20).Select(info => info.Name))}.");

    private static OrtEnv CreateEnvironment()
    {
        if (OrtEnv.IsCreated) return OrtEnv.Instance();
        var options = new EnvironmentCreationOptions { logId = "onnxllm", logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        return OrtEnv.CreateInstanceWithOptions(ref options);
    }

    internal static SessionOptions Options(SessionSettings settings)
    {
        _ = Environment; // its log level must be in force before the first session
        var options = new SessionOptions
        {
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
            EnableMemoryPattern = settings.MemoryPattern,
            IntraOpNumThreads = settings.Threads > 0 ? settings.Threads : System.Environment.ProcessorCount,
        };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", settings.Spinning ? "1" : "0");
        options.AddSessionConfigEntry("session.force_spinning_stop", settings.SpinningBetweenRuns ? "0" : "1");
        if (settings.MemoryLimit > 0 && !settings.Device.IsCuda) ArenaLimit.Apply(Environment, options, settings.MemoryLimit);
        if (settings.Device.IsCuda) CudaProvider.Append(options, settings);
        else if (settings.Kernels) CustomOperators.Register(options);
        if (settings.ProfilePrefix is { } prefix)
            (options.ProfileOutputPathPrefix, options.EnableProfiling) = (prefix, true);
        return options;
    }

    private static ImmutableArray<TensorInfo> Describe(IReadOnlyList<string> names, IReadOnlyDictionary<string, NodeMetadata> metadata) =>
        [.. names.Select(name => Describe(name, metadata[name]))];

    private static TensorInfo Describe(string name, NodeMetadata metadata) => metadata.IsTensor
        ? new TensorInfo(name, (ElementType)metadata.ElementDataType, [.. metadata.Dimensions.Select(size => (long)size)])
        : throw new ModelRuntimeException($"{name} is not a tensor.");
}
