// SPDX-License-Identifier: Apache-2.0

package v1beta1

// Group is the API group of all kinds.
const Group = "metallb.io"

// The kinds of the group. All are namespaced; BGPPeer is served in v1beta1 and
// v1beta2, the others in v1beta1.
const (
	KindIPAddressPool      = "IPAddressPool"
	KindL2Advertisement    = "L2Advertisement"
	KindBGPAdvertisement   = "BGPAdvertisement"
	KindBGPPeer            = "BGPPeer"
	KindBFDProfile         = "BFDProfile"
	KindCommunity          = "Community"
	KindServiceL2Status    = "ServiceL2Status"
	KindServiceBGPStatus   = "ServiceBGPStatus"
	KindConfigurationState = "ConfigurationState"
)

// Annotation keys are a prefix and a suffix. Where a Service carries both
// prefixes the new one counts, also with an empty value.
const (
	AnnotationPrefix       = "metallb.io/"
	LegacyAnnotationPrefix = "metallb.universe.tf/"
)

// Annotations of Services.
const (
	// AnnotationAddressPool names the pool to take the addresses from.
	AnnotationAddressPool       = AnnotationPrefix + "address-pool"
	LegacyAnnotationAddressPool = LegacyAnnotationPrefix + "address-pool"

	// AnnotationLoadBalancerIPs asks for addresses: comma separated, at most
	// one per family.
	AnnotationLoadBalancerIPs       = AnnotationPrefix + "loadBalancerIPs"
	LegacyAnnotationLoadBalancerIPs = LegacyAnnotationPrefix + "loadBalancerIPs"

	// AnnotationAllowSharedIP is the sharing key: Services with equal keys may
	// hold the same address.
	AnnotationAllowSharedIP       = AnnotationPrefix + "allow-shared-ip"
	LegacyAnnotationAllowSharedIP = LegacyAnnotationPrefix + "allow-shared-ip"

	// AnnotationAllocatedFromPool is written by the controller: the pool that
	// the addresses are from. The legacy key is read, never written.
	AnnotationAllocatedFromPool       = AnnotationPrefix + "ip-allocated-from-pool"
	LegacyAnnotationAllocatedFromPool = LegacyAnnotationPrefix + "ip-allocated-from-pool"

	// AnnotationLastIPs is written by the controller: the addresses that the
	// Service lost to an edit of the pools, comma separated; behind a semicolon
	// those that stood in for them and were lost too. It gets them back first when
	// they are free again.
	AnnotationLastIPs = AnnotationPrefix + "last-ips"

	// AnnotationSharedAs is written by the controller on a Service that has a
	// sharing key and an address: a digest of what decided with whom it may share.
	// It tells later which of two Services that share has been changed.
	AnnotationSharedAs = AnnotationPrefix + "shared-as"
)

// AnnotationPauseRepairs of a Node, an RFC 3339 time at most a day ahead: until
// then the node's speaker reports what others change in FRR's configuration and
// does not undo it.
const AnnotationPauseRepairs = AnnotationPrefix + "pause-repairs-until"

// AnnotationL2Weight of a Node, a whole number from -100 to 100, adds to the node's
// score where nodes compete for announcing an address in layer 2.
const AnnotationL2Weight = AnnotationPrefix + "l2-weight"

// Labels of ServiceL2Status and ServiceBGPStatus objects.
const (
	LabelNode             = "metallb.io/node"
	LabelServiceName      = "metallb.io/service-name"
	LabelServiceNamespace = "metallb.io/service-namespace"
)

// Labels of ConfigurationState objects.
const (
	// LabelComponentType is ComponentController or ComponentSpeaker.
	LabelComponentType = "metallb.io/component-type"
	// LabelNodeName is the speaker's node; not set on the controller's object.
	LabelNodeName = "metallb.io/node-name"
)

// Values of LabelComponentType. The controller's ConfigurationState has the
// name ComponentController, a speaker's SpeakerStatePrefix and the node's name.
const (
	ComponentController = "controller"
	ComponentSpeaker    = "speaker"
	SpeakerStatePrefix  = "speaker-"
)

// Types of the conditions in status.conditions of the kinds that users write.
const (
	// ConditionAccepted: the object is valid. False with the reason
	// ReasonUsingLastAccepted: it is not, and status.lastAccepted is in force.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs: all objects that it names exist.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionReady: what resolves is in force on the nodes it concerns.
	ConditionReady = "Ready"
	// ConditionEstablished, of a BGPPeer only: the BGP session is up on every
	// node that is to have it.
	ConditionEstablished = "Established"
)

// ReasonUsingLastAccepted is a reason of condition Accepted.
const ReasonUsingLastAccepted = "UsingLastAccepted"

// Types of the conditions in status.conditions of ConfigurationState.
const (
	// ConditionPoolReconcilerValid is written by the controller.
	ConditionPoolReconcilerValid = "poolReconcilerValid"
	// ConditionConfigReconcilerValid is written by speakers.
	ConditionConfigReconcilerValid = "configReconcilerValid"
	// ConditionInService is written by speakers: whether the node announces.
	ConditionInService = "inService"
	// ConditionServiceBGPStatusWritten is written by speakers, and only as
	// False: the node writes no ServiceBGPStatus, because the cluster would
	// hold too many.
	ConditionServiceBGPStatusWritten = "serviceBGPStatusWritten"
	// ConditionFRRInSync is written by speakers: FRR runs what they have
	// configured, and nothing that others did to it.
	ConditionFRRInSync = "frrInSync"
)

// ConditionAddressAssigned is the type of the condition in a Service's
// status.conditions: it has the addresses that it is to have.
const ConditionAddressAssigned = "metallb.io/AddressAssigned"

// ConditionAddressConflict is the type of another one: a station that is no
// speaker has an address of the Service, which is not announced in layer 2 as long
// as that is so. The condition is only there while it is True.
const ConditionAddressConflict = "metallb.io/AddressConflict"

// ConditionAnnounced is the type of the one that says from which nodes and over
// which protocol a Service with addresses is announced, or why it is not. It is
// only there while the Service has an address.
const ConditionAnnounced = "metallb.io/Announced"
