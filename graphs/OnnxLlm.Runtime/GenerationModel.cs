using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Runtime;

/// <summary>
/// The sessions of a generation graph: on the CPU one for everything; on a GPU one for prompts, and one for single tokens, whose extents are fixed so that
/// its runs are recorded and replayed. Each of the two has its own copy of the weights.
/// </summary>
internal sealed class GenerationModel : IDisposable
{
    /// <summary>Bytes of a graph that is read and written in memory.</summary>
    private const long MostRewritten = 20 << 20;

    private GenerationModel(OrtSession prompts, OrtSession? tokens = null) => (Prompts, Tokens) = (prompts, tokens);

    /// <summary>Activations are in float16.</summary>
    public bool IsHalf { get; private init; }

    /// <summary><see cref="Prompts"/> takes new tokens in one row.</summary>
    public bool IsRagged { get; private init; }

    /// <summary>Runs any call.</summary>
    public OrtSession Prompts { get; }

    /// <summary>On a GPU: runs one new token for each of some slots, see <see cref="CudaGeneration.ForTokens"/>.</summary>
    public OrtSession? Tokens { get; }

    /// <summary>Of keys and values.</summary>
    public ElementType CacheType => Prompts.Input(GenerationGraph.PastKey(0)).Type;

    /// <param name="package">The model.</param>
    /// <param name="settings">How and where it runs.</param>
    /// <param name="length">Positions of a slot.</param>
    public static GenerationModel Open(ModelPackage package, SessionSettings settings, long length)
    {
        bool widened = package.Quantization is not null && !package.RunsQuantized(settings);
        if (!settings.Device.IsCuda) return OnCpu(package, settings, widened);
        if (settings.ActivationType is not (ElementType.Float16 or ElementType.BFloat16)) throw new ModelRuntimeException($"On a GPU activations are Float16 or BFloat16, not {settings.ActivationType}: its attention knows nothing wider.");
        settings.Device.Require();
        ModelProto model = OnnxFile.Read(package.ModelPath);
        if (widened) model = WidenedWeights.Of(model);
        var prompts = new OrtSession(CudaGeneration.ForPrompts(model, settings.ActivationType).ToByteArray(), settings with { Strict = false, Capture = false });
        try
        {
            var tokens = new OrtSession(CudaGeneration.ForTokens(model, settings.ActivationType, length).ToByteArray(), settings with { Strict = true, Capture = true });
            return new(prompts, tokens) { IsHalf = settings.ActivationType == ElementType.Float16 };
        }
        catch
        {
            prompts.Dispose();
            throw;
        }
    }

    /// <summary>In the form that reads and decodes at once where the weights have a file of their own, or are few: otherwise they would be in memory several times over while that is made.</summary>
    private static GenerationModel OnCpu(ModelPackage package, SessionSettings settings, bool widened)
    {
        if (widened) return new(new OrtSession(WidenedWeights.Of(OnnxFile.Read(package.ModelPath)).ToByteArray(), settings));
        if (!settings.Kernels || new FileInfo(package.ModelPath).Length > MostRewritten) return new(new OrtSession(package.ModelPath, settings));
        var (model, tensors) = ModelRuntimeException.Reading(() => OnnxFile.ReadGraph(package.ModelPath));
        return RaggedGeneration.Of(model) is { } ragged ? new(new OrtSession(package.ModelPath, ragged, tensors, settings)) { IsRagged = true } : new(new OrtSession(package.ModelPath, settings));
    }

    public void Dispose()
    {
        Prompts.Dispose();
        Tokens?.Dispose();
    }
}
