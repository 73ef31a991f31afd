using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// A small tensor that the host writes or reads and a device computes with: token ids, scalars, results. On the CPU both are one buffer and nothing is
/// copied. After <see cref="Upload()"/> the host's side must stay as it is until something was read back.
/// </summary>
public sealed class MirroredTensor : IDisposable
{
    public MirroredTensor(Device device, ElementType type, params ReadOnlySpan<long> shape)
    {
        OnDevice = TensorBuffer.Zeros(device, type, shape);
        Host = device.IsCuda ? TensorBuffer.ForCopies(device, type, shape) : OnDevice;
    }

    /// <summary>The host's side.</summary>
    public TensorBuffer Host { get; }

    /// <summary>The side to be bound to a session.</summary>
    public TensorBuffer OnDevice { get; }

    /// <summary>Takes what the host wrote to the device.</summary>
    public void Upload()
    {
        if (OnDevice.Device.IsCuda) OnDevice.CopyFrom(Host);
    }

    /// <summary>Brings what the device computed, which it waits for.</summary>
    public void Download()
    {
        if (OnDevice.Device.IsCuda) Host.CopyFrom(OnDevice);
    }

    /// <summary>As <see cref="Upload()"/>, of the first elements.</summary>
    public void Upload(long count)
    {
        if (OnDevice.Device.IsCuda) OnDevice.View(0, count).CopyFrom(Host.View(0, count));
    }

    /// <summary>As <see cref="Download()"/>, of the first elements.</summary>
    public void Download(long count)
    {
        if (OnDevice.Device.IsCuda) Host.View(0, count).CopyFrom(OnDevice.View(0, count));
    }

    /// <summary>Writes a scalar and takes it to the device.</summary>
    public void Set<T>(T value) where T : unmanaged
    {
        Host.Span<T>()[0] = value;
        Upload();
    }

    /// <summary>Brings a scalar that the device computed.</summary>
    public T Get<T>() where T : unmanaged
    {
        Download();
        return Host.Span<T>()[0];
    }

    public void Dispose()
    {
        if (Host != OnDevice) Host.Dispose();
        OnDevice.Dispose();
    }
}
